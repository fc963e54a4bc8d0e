"""The web app, and the browser that drives its parity page."""
