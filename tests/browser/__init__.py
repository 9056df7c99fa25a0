"""A learner in a browser: JupyterLab in headless Chromium, by key presses and clicks.

`make browser-test`; no part of `make test`. Needs Chromium and its driver (Debian:
`apt-get install chromium chromium-driver`).
"""
