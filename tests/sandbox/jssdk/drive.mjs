// Runs the official JavaScript SDK against a portal: reads the task as JSON from standard input,
// prints what each step found.

import { B24OAuth } from "@bitrix24/b24jssdk";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { auth, secret, steps } = JSON.parse(Buffer.concat(chunks).toString());

const b24 = new B24OAuth(auth, secret, { restrictionParams: { maxRetries: 1 } });
b24.offClientSideWarning();
const renewed = [];
b24.setCallbackRefreshAuth(async ({ b24OAuthParams }) => renewed.push(b24OAuthParams));

const run = {
  call: async (method, params) => (await data(b24.actions.v2.call.make({ method, params }))).result,
  callV3: async (method, params) => data(b24.actions.v3.call.make({ method, params })),
  batch: (calls) => data(b24.actions.v2.batch.make({ calls, options: { isHaltOnError: false } })),
  list: (options) => data(b24.actions.v2.callList.make(options)),
  isAdmin: async () => {
    await b24.initIsAdmin();
    return b24.auth.isAdmin;
  },
};

async function data(pending) {
  const result = await pending;
  const errors = [...result.errors].map(([key, error]) => [key, error.code, error.message]);
  return errors.length > 0 ? { data: result.getData(), errors } : result.getData();
}

async function outcome([name, ...args]) {
  try {
    return { ok: await run[name](...args) };
  } catch (error) {
    return { code: error.code, status: error.status, message: error.message, name: error.name };
  }
}

const outcomes = [];
for (const step of steps) outcomes.push(await outcome(step));
console.log(JSON.stringify({ outcomes, renewed }));
