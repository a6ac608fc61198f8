"""Django's settings, read from the environment; a fresh clone runs on SQLite without any.

`.env.example` lists every name. `checks.py` finds values that are well-formed but cannot work.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# Both are public, so `checks.py` refuses them for every address but loopback.
INSECURE_SECRET_KEY = "insecure-" + "development-only-" * 3
INSECURE_TOKEN_KEY = "aW5zZWN1cmUtZGV2ZWxvcG1lbnQtb25seS1rZXktMDE="  # noqa: S105

# Examples, by which `checks.py` sees that the operator has not set them.
EXAMPLE_PUBLISHER = "Example Publisher"
EXAMPLE_PUBLISHER_EMAIL = "support@example.com"
EXAMPLE_PUBLISHER_ADDRESS = "1 Example Street, Example City"

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default=INSECURE_SECRET_KEY)
APP_URL = env.str("APP_URL", default="http://localhost:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(APP_URL).hostname or "localhost"])

# The publisher of the app, named in the licence agreement and the privacy policy at /legal/.
PUBLISHER_NAME = env.str("PUBLISHER_NAME", default=EXAMPLE_PUBLISHER)
PUBLISHER_EMAIL = env.str("PUBLISHER_EMAIL", default=EXAMPLE_PUBLISHER_EMAIL)
PUBLISHER_ADDRESS = env.str("PUBLISHER_ADDRESS", default=EXAMPLE_PUBLISHER_ADDRESS)
# Where weaknesses are reported: a mailto: or https: address. Empty: no /.well-known/security.txt.
SECURITY_CONTACT = env.str("SECURITY_CONTACT", default="")

# The application's id and secret at Bitrix24, and the servers of Bitrix24.
B24_CLIENT_ID = env.str("B24_CLIENT_ID", default="")
B24_CLIENT_SECRET = env.str("B24_CLIENT_SECRET", default="")
B24_OAUTH_URL = env.str("B24_OAUTH_URL", default="https://oauth.bitrix.info").rstrip("/")
B24_JS_URL = env.str("B24_JS_URL", default="https://api.bitrix24.com/api/v1/")
# The first key encrypts, all decrypt. To rotate the keys, put a new one in front.
B24_TOKEN_KEYS = env.list("B24_TOKEN_KEYS", default=[INSECURE_TOKEN_KEY])
# Whether plain http to loopback addresses is allowed, for the sandbox.
B24_ALLOW_HTTP = env.bool("B24_ALLOW_HTTP", default=False)
# Private networks (CIDR) with on-premise portals; the app calls no other private address.
B24_PRIVATE_NETWORKS = env.list("B24_PRIVATE_NETWORKS", default=[])
# Days between the removal of the app from a portal and the deletion of the portal's data. Tokens
# and sessions end at once.
B24_REMOVAL_GRACE_DAYS = env.int("B24_REMOVAL_GRACE_DAYS", default=7)
# Days for which the payments of a portal are kept that removed the app but not its data.
B24_LEDGER_RETENTION_DAYS = env.int("B24_LEDGER_RETENTION_DAYS", default=365)
# Days for which payments and their history are kept in a portal that has the app; 0: for ever.
B24_HISTORY_DAYS = env.int("B24_HISTORY_DAYS", default=3650)
# Days for which masked calls and answers are kept; 0: no log. Bitrix24's rules for publishing ask
# for 3.
B24_REST_LOG_DAYS = env.int("B24_REST_LOG_DAYS", default=3)
# The token with which Prometheus reads /metrics; without it the page does not exist.
B24_METRICS_TOKEN = env.str("B24_METRICS_TOKEN", default="")
# The number of the operator's proxies in front of the app, each of which appends to
# X-Forwarded-For. With 0 the app ignores the headers of proxies.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=1)
if B24_ALLOW_HTTP:
    # oauthlib refuses http by itself; rest/addresses.py decides which http addresses are called.
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

INSTALLED_APPS = [
    # The publisher's admin. SimpleAdminConfig, because b24app/admin.py has its own site.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_htmx",
    "b24app",
    "payments",
]

MIDDLEWARE = [
    "b24app.web.middleware.TraceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "b24app.web.unreadable.ReadRequest",
    "b24app.web.middleware.LanguageMiddleware",
    "b24app.web.middleware.TimeZoneMiddleware",
    "django.middleware.common.CommonMiddleware",
    # These five act on the admin's address only: a frame has no cookies.
    "b24app.web.admin_middleware.AdminFrames",
    "b24app.web.admin_middleware.AdminSession",
    "b24app.web.admin_middleware.AdminCsrf",
    "b24app.web.admin_middleware.AdminUser",
    "b24app.web.admin_middleware.AdminMessages",
    "django_htmx.middleware.HtmxMiddleware",
    "b24app.web.middleware.FrameMiddleware",
    "b24app.web.middleware.ErrorMiddleware",
    # Last, as its documentation demands; it acts only on answers to the admin's sign-in.
    "axes.middleware.AxesMiddleware",
]

# The largest genuine opening has about 2 KB: two tokens, a list of scopes and the parameters. The
# longest form of the app has about 10 KB: 500 ticked payments.
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024

ROOT_URLCONF = "b24app.urls"
WSGI_APPLICATION = "b24app.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "b24app.web.context.frame",
            ],
        },
    },
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR}/var/db.sqlite3")}
_database = DATABASES["default"]
# No transaction around a request: a renewed token pair must survive the failure of its request.
_database["ATOMIC_REQUESTS"] = False
if _database["ENGINE"] == "django.db.backends.sqlite3":
    (BASE_DIR / "var").mkdir(exist_ok=True)
    _database["OPTIONS"] = {
        # A writer waits instead of failing, and locks the database before it reads.
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database["OPTIONS"] = {
        # A connection for each thread in use; a thread waits `timeout` seconds for a free one.
        "pool": {"min_size": 1, "max_size": 20, "timeout": 10},
        **_database.get("OPTIONS", {}),
    }

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
# localization/languages.py maps portals' codes to these; `make messages` updates the catalogues.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("pl", "Polski"),
    ("pt-br", "Português (Brasil)"),
    ("ru", "Русский"),
    ("tr", "Türkçe"),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["b24app.localization.formats"]
# `session.identify` activates the portal's zone, in which people read times.
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static_built"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# CACHE_URL=rediscache://host:6379/0 gives all processes and machines one cache; without it each
# process has its own. Nothing about money or rights depends on it: it saves calls.
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}
if CACHES["default"]["BACKEND"].endswith("LocMemCache"):
    # An entry for each order, with the deals and invoices it is linked to: the pages of some fifty
    # portals, a few megabytes.
    CACHES["default"]["OPTIONS"] = {"MAX_ENTRIES": 10_000}
else:
    CACHES["default"] |= {
        "BACKEND": "django_redis.cache.RedisCache",
        "OPTIONS": {
            # Without Redis everything is read from the portals again: slower, and right.
            "IGNORE_EXCEPTIONS": True,
            # Seconds. A page looks into the cache several times, and Redis answers in milliseconds.
            "SOCKET_CONNECT_TIMEOUT": 0.25,
            "SOCKET_TIMEOUT": 0.25,
        },
    }
    DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True

# Where spans go over OTLP, and errors to Sentry; empty: nowhere, and nothing is imported for it.
TRACES_ENDPOINT = env.str("TRACES_ENDPOINT", default="")
SENTRY_DSN = env.str("SENTRY_DSN", default="")

# Cookies are only for the publisher's admin: at its address, from its own pages, for a working day.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = APP_URL.startswith("https://")
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600
CSRF_COOKIE_HTTPONLY = True
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Wrong passwords are counted by name and network together, so another network cannot lock a person
# out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Tries during a lockout do not extend it.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "b24app.web.admin_middleware.address_of"
AXES_LOCKOUT_CALLABLE = "b24app.web.admin_middleware.locked_out"
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES > 0 else None
SECURE_CONTENT_TYPE_NOSNIFF = True
# The frame's address contains the portal's name and one of the portal's session ids.
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_CROSS_ORIGIN_OPENER_POLICY = None  # Meaningless inside a frame.
SECURE_HSTS_SECONDS = 31_536_000 if APP_URL.startswith("https://") else 0
SILENCED_SYSTEM_CHECKS = [
    "security.W002",  # X-Frame-Options cannot name a portal; CSP's frame-ancestors does.
    "security.W003",  # The frame session in a header or field is the proof against CSRF.
    "security.W005",  # The publisher decides about HSTS for their other hosts, ...
    "security.W021",  # ... and about the browsers' preload list.
    "security.W008",  # The proxy that ends TLS redirects; health checks come without TLS.
]

_script = urlsplit(B24_JS_URL)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", f"{_script.scheme}://{_script.netloc}"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        # FrameMiddleware replaces this with the portal's address.
        "frame-ancestors": ["'none'"],
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"},
        "json": {"()": "b24app.monitoring.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line" if DEBUG else "json"},
    },
    "filters": {"refusals_once": {"()": "b24app.monitoring.logs.RefusalsOnce"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.request": {"filters": ["refusals_once"]},
        # At DEBUG these three log access tokens.
        "requests_oauthlib": {"level": "INFO"},
        "oauthlib": {"level": "INFO"},
        "urllib3": {"level": "INFO"},
    },
}
