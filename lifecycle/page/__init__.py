"""The page for a browser, `GET /` on the QOS port: its files, and how they become one document."""
