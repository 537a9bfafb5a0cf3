"""The reports: an HTML page that loads nothing, JUnit XML, and text."""
