"""Server-rendered pages: templates, one stylesheet, and drawings made on the server. No JavaScript.

`overview` reads off a trace what has to be seen at once, `flow` its boxes and arrows, `drawing` makes SVG of those;
`labels` and `things` are what pages ask of the store, `text` says things, times and amounts as people do.
`trace_page` and `thing_page` put the values of a template together, `render` fills it in. The routes in
`api.routes.pages` decide who is asked and where to go.
"""
