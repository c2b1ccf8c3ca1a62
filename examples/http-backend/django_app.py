"""An application behind Holdfast that is a URL, as a Django view.

HOLDFAST_SECRET=... python django_app.py 8000

In a project of yours, `live` is a view like any other, and the rest is there already.
"""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from events import answer
from wsgi_app import serve


@csrf_exempt  # the signature shows who has sent it
@require_POST
def live(request: HttpRequest) -> HttpResponse:
    status, body = answer(request.headers.get("Holdfast-Signature", ""), request.body)
    return HttpResponse(body, "application/json", status)


urlpatterns = [path("", live)]

if __name__ == "__main__":
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1"],
        SECRET_KEY="of this example alone",
        LOGGING_CONFIG=None,
    )
    serve(get_wsgi_application())
