"""Dashboards as code: what `python -m tools.boards` writes to deploy/grafana/dashboards."""
