"""Our vocabulary, mappings, rule tables, shapes and contexts: data first, with a thin loader."""
