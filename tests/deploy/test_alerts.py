"""deploy/alerts.yml: Prometheus' own tool fires and clears each alert; no metric is made up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from b24app.monitoring import metrics
from sandbox.tools.app_process import ROOT

PROMTOOL = shutil.which("promtool")
RULES = ROOT / "deploy" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "dashboard.json"
ALERTS: dict[str, Any] = {
    rule["alert"]: rule for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
}
METRIC = re.compile(r"\bpay_[a-z_]+")

# Minutes: of trouble, and of health after it.
BAD, GOOD = 90, 90


def level(bad: float, good: float) -> str:
    return f"{bad}x{BAD} {good}x{GOOD}"


def counter(bad: int, good: int) -> str:
    """Returns a counter that grows by so much a minute."""
    return f"0+{bad}x{BAD} {bad * BAD}+{good}x{GOOD}"


ALWAYS = f"0+10x{BAD + GOOD}"

# What Prometheus reads in the trouble that each alert is about, and after it.
TROUBLES: dict[str, dict[str, str]] = {
    "PayDown": {'up{job="pay"}': level(0, 1)},
    "PayWorkerMissing": {'pay_job_age_seconds{name="reconcile"}': level(1000, 5)},
    "PayDailyJobMissed": {'pay_job_age_seconds{name="prune"}': level(200_000, 60)},
    "PayEventsWaiting": {"pay_events_waiting": level(500, 0)},
    "PayNotConfirmed": {'pay_attempts_total{outcome="unknown"}': counter(2, 0)},
    "PayCallsFail": {
        'pay_rest_calls_total{code="NeverSent"}': counter(2, 0),
        'pay_rest_calls_total{code="ok"}': ALWAYS,
    },
    "PayTooManyRequests": {
        'pay_rest_calls_total{code="QUERY_LIMIT_EXCEEDED"}': counter(10, 0),
    },
    "PayCallsSlow": {
        'pay_rest_seconds_bucket{method="batch",le="5"}': counter(1, 10),
        'pay_rest_seconds_bucket{method="batch",le="10"}': ALWAYS,
        'pay_rest_seconds_bucket{method="batch",le="+Inf"}': ALWAYS,
    },
    "PayRenewalsFail": {'pay_token_refreshes_total{result="invalid_grant"}': counter(1, 0)},
}


@pytest.mark.skipif(
    PROMTOOL is None and not os.environ.get("CI"), reason="there is no promtool on this machine"
)
def test_each_alert_fires_in_its_trouble_and_clears_after_it(tmp_path: Path) -> None:
    assert set(TROUBLES) == set(ALERTS)
    cases = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": values} for series, values in trouble.items()
                ],
                "promql_expr_test": [
                    _firing(name, BAD - 5, [{"labels": "{}", "value": 1}]),
                    _firing(name, BAD + GOOD - 5, []),
                ],
            }
            for name, trouble in TROUBLES.items()
        ],
    }
    path = tmp_path / "cases.yml"
    path.write_text(yaml.safe_dump(cases))
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _firing(name: str, minute: int, samples: list[dict[str, Any]]) -> dict[str, Any]:
    expr = f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}


def test_alerts_and_dashboard_name_metrics_that_the_app_has() -> None:
    known = {
        f"{family.name}{suffix}"
        for family in metrics._registry.collect()
        for suffix in ("", "_total", "_bucket")
    } | {gauge.name for gauge in metrics._gauges}
    dashboard = json.loads(DASHBOARD.read_text())
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for rule in ALERTS.values() for name in METRIC.findall(rule["expr"])}
    assert used <= known
    assert {name for expr in targets for name in METRIC.findall(expr)} <= known
    # Each metric is on the dashboard.
    assert {gauge.name for gauge in metrics._gauges} <= set(METRIC.findall(" ".join(targets)))
