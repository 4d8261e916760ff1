"""Server-rendered pages: templates, one stylesheet, and drawings made on the server. No JavaScript.

`drawing` turns a trace into SVG, `text` says things and times as people do; the routes in
`api.routes.pages` fetch what a page shows and render its template.
"""
