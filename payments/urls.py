from __future__ import annotations

from django.urls import include, path

from payments.views import checkout, handlers, home, listing, pay, provider, settings, systems

payments = (
    [
        path("", listing.listing, name="list"),
        path("unpaid/", listing.unpaid, name="unpaid"),
        path("question/", pay.question, name="question"),
        path("pay/", pay.pay, name="pay"),
        path("check/", pay.check, name="check"),
        path("systems/", systems.systems, name="systems"),
        path("systems/new/", systems.system, name="system-new"),
        path("systems/<int:pay_system_id>/", systems.system, name="system"),
        path("systems/<int:pay_system_id>/switch/", systems.switch, name="system-switch"),
        path("systems/<int:pay_system_id>/delete/", systems.delete, name="system-delete"),
        path("systems/<int:pay_system_id>/settings/", settings.settings, name="system-settings"),
        path("provider/create/", provider.create, name="provider-create"),
        path("provider/ask-removal/", provider.ask_removal, name="provider-ask-removal"),
        path("provider/remove/", provider.remove, name="provider-remove"),
        path("handlers/new/", handlers.handler, name="handler-new"),
        path("handlers/<int:handler_id>/", handlers.handler, name="handler"),
        path("handlers/<int:handler_id>/delete/", handlers.delete, name="handler-delete"),
        path("systems/<int:pay_system_id>/effective/", settings.effective, name="effective"),
    ],
    "payments",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("payments/", include(payments)),
    path("checkout/", checkout.checkout, name="checkout"),
    path("checkout/<str:sealed>/", checkout.bill, name="bill"),
]
