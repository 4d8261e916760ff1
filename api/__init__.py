"""How people and programs reach Loomark: HTTP, server-rendered pages, the `loomark` command line."""
