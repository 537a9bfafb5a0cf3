"""
Flask, without changes and with any number of workers:

    lifecycle run --service orders:8080 -- gunicorn -w 2 --threads 8 -b 0.0.0.0:8080 flask_app:app

The development server works too: `lifecycle run --service orders:5000 -- flask --app flask_app run`.
"""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/")
def orders():
    return "ok\n", {"Content-Type": "text/plain"}
