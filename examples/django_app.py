"""
Django, a whole project in one file, without changes and with any number of workers:

    lifecycle run --service orders:8080 -- gunicorn -w 2 --threads 8 -b 0.0.0.0:8080 django_app

In your own project the last word is `mysite.wsgi`. The other options of gunicorn stay as they are.
"""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY=os.environ.get("SECRET_KEY", "for the example alone"),
)


def orders(request):  # noqa: ARG001 - Django's signature
    return HttpResponse(b"ok\n", content_type="text/plain")


urlpatterns = [path("", orders)]
application = get_wsgi_application()
