"""The same service with Django, in one file."""

from __future__ import annotations

import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import re_path
from shop import FAST, PIECES, SLOW
from wsgi_shop import pieces

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for the test alone")


def serve(request):
    path = request.path
    if path in ("/", "/slow"):
        time.sleep(SLOW if path == "/slow" else FAST)
    if path in PIECES:
        return StreamingHttpResponse(pieces(path), content_type="text/plain")
    return HttpResponse(request.body or b"hello", content_type="text/plain")


urlpatterns = [re_path("", serve)]
app = get_wsgi_application()
