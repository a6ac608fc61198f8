"""Names the ids, codes and keys of everything in the sandbox at the start.

Both portals share all ids but the two `member_id`s: a program that confuses the portals pays the
wrong payment, and the sums show it.
"""

from __future__ import annotations

ALPHA = "a1fa0000000000000000000000000001"
BETA = "be7a0000000000000000000000000002"

OUR_CLIENT_ID = "local.5f00000000a1b2.12345678"
OUR_SECRET = "sandbox-secret-of-our-application"
OTHER_CLIENT_ID = "local.5f00000000c3d4.87654321"
OTHER_SECRET = "sandbox-secret-of-the-other-application"
OUR_SCOPES = ("crm", "sale", "pay_system", "placement", "user_brief")

ADMIN, SETTINGS_ADMIN, MANAGER, READER, EXTRANET, DISMISSED, OWN_MANAGER = range(1, 8)
# Managers by the rights to orders that their role gives them.
OWN_ORDERS, DEPARTMENT_ORDERS, ADD_ONLY, UPDATE_ONLY = range(8, 12)

# The administrator's incoming webhook, the same code on both portals.
WEBHOOK_CODE = "sandboxwebhook01"
WEBHOOK_SCOPES = (*OUR_SCOPES, "user")

# Pay systems: built-in ones first, then those of REST handlers.
CASH, BILL, ACQUIRER, ON_DELIVERY, INNER, DOCUMENT = range(1, 7)
ACME_PAY, DEMO_CARD_PAY, OTHER_PAY, INACTIVE_PAY, INVOICE_PAY, COMPANY_PAY = range(11, 17)
ACME_HANDLER, DEMO_CARD_HANDLER, OTHER_HANDLER = "acmepay", "democardpay", "otherwallet"

# The exact case of the documentation's tab example: placement options say {"ID": "8061"}.
DEAL, ORDER, PAYMENT = 8061, 163, 271
COMPANY, CONTACT = 61, 71  # the customer of DEAL
SEVERAL_DEAL = 8062  # two orders, four payments, one of them paid
SEVERAL_ORDERS, SEVERAL_PAYMENTS = (164, 165), (272, 273, 274, 275)
CASH_DEAL, CASH_PAYMENT = 8063, 276
BILL_DEAL, BILL_PAYMENT = 8064, 277
ACQUIRER_DEAL, ACQUIRER_PAYMENT = 8065, 278
OTHER_DEAL, OTHER_PAYMENT = 8066, 279
PAID_DEAL, PAID_PAYMENT = 8067, 280
CANCELED_DEAL, CANCELED_ORDER, CANCELED_PAYMENT = 8068, 171, 281
ZERO_DEAL, ZERO_PAYMENT = 8069, 282
USD_DEAL, USD_PAYMENT = 8070, 283
JPY_DEAL, JPY_PAYMENT = 8071, 284
KWD_DEAL, KWD_PAYMENT = 8072, 285
OWN_DEAL, OWN_PAYMENT = 8073, 286  # the only deal that OWN_MANAGER sees
HIDDEN_DEAL, HIDDEN_PAYMENT = 8074, 287  # one of those that OWN_MANAGER does not see
SHARED_DEAL, SHARED_INVOICE, SHARED_ORDER, SHARED_PAYMENT = 8075, 501, 178, 288
INVOICE, INVOICE_ORDER, INVOICE_PAYMENT = 502, 179, 289
LOOSE_ORDER, LOOSE_PAYMENT = 180, 290  # an order with no CRM item
COMPANY_DEAL, COMPANY_ORDER, COMPANY_PAYMENT = 8076, 181, 291
INACTIVE_DEAL, INACTIVE_PAYMENT = 8077, 292
BUILT_IN_DEAL = 8078
ON_DELIVERY_PAYMENT, INNER_PAYMENT, DOCUMENT_PAYMENT = 293, 294, 295
EMPTY_DEAL = 8079
# Three payments each; the orders are OWN_ORDERS', MANAGER's and OWN_MANAGER's, all others ADMIN's.
PLAIN_DEALS, PLAIN_ORDERS = (8080, 8081, 8082), (184, 185, 186)
PLAIN_PAYMENTS = tuple(range(296, 305))
