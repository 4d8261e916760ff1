"""Events as EPCIS 2.0 XML: EPCISQueryDocument and EPCISDocument, from the same values as `query_document`.

What is written reads back as the same events (docs/spec/xml.md); a value that XML has no form for raises NoXMLForm,
an InvalidInput whose pointer leads to it in the document that JSON would be. The schema is that of
EPCglobal-epcis-2_0.xsd and EPCglobal-epcis-query-2_0.xsd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .contexts import PACKAGED, ContextTable
from .document import EVENT_LISTS
from .query_document import SCHEMA_VERSION, UNNAMED_QUERY, Shown, shared_context
from .xml_writer_event import write_event
from .xml_writer_extension import Writer
from .xml_writer_names import Names, names_of
from .xml_writer_text import NoXMLForm, attribute, text

EPCIS: Final = "urn:epcglobal:epcis:xsd:2"
QUERY: Final = "urn:epcglobal:epcis-query:xsd:2"
__all__ = ["NoXMLForm", "xml_document", "xml_query_document", "xml_query_document_parts"]

PROLOG: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


def xml_query_document(
    shown: Sequence[Shown],
    *,
    created: str,
    query_name: str | None,
    subscription_id: str | None = None,
    cbv: str = "",
    contexts: ContextTable = PACKAGED,
) -> bytes:
    """An EPCISQueryDocument of the events. `cbv` is a value of the header GS1-CBV-XML-Format. Raises NoXMLForm."""
    return b"".join(
        xml_query_document_parts(
            shown,
            created=created,
            query_name=query_name,
            subscription_id=subscription_id,
            cbv=cbv,
            contexts=contexts,
        )
    )


def xml_query_document_parts(
    shown: Sequence[Shown],
    *,
    created: str,
    query_name: str | None,
    subscription_id: str | None = None,
    cbv: str = "",
    contexts: ContextTable = PACKAGED,
) -> Iterator[bytes]:
    """The bytes of an EPCISQueryDocument in pieces, an event at a time."""
    named = f"<queryName>{text(UNNAMED_QUERY if query_name is None else query_name)}</queryName>"
    if subscription_id is not None:
        named += f"<subscriptionID>{text(subscription_id)}</subscriptionID>"
    begin = f"<EPCISBody><epcisq:QueryResults>{named}<resultsBody><EventList>"
    end = "</EventList></resultsBody></epcisq:QueryResults></EPCISBody>"
    root = ("epcisq:EPCISQueryDocument", f'xmlns:epcisq="{QUERY}"')
    return _parts(shown, root, created, begin, end, cbv, contexts)


def xml_document(
    shown: Sequence[Shown], *, created: str, cbv: str = "", contexts: ContextTable = PACKAGED
) -> bytes:
    """An EPCISDocument of the events, such as another repository captures. Raises NoXMLForm."""
    root = ("epcis:EPCISDocument", f'xmlns:epcis="{EPCIS}"')
    begin, end = "<EPCISBody><EventList>", "</EventList></EPCISBody>"
    return b"".join(_parts(shown, root, created, begin, end, cbv, contexts))


def _parts(
    shown: Sequence[Shown],
    root: tuple[str, str],
    created: str,
    begin: str,
    end: str,
    cbv: str,
    contexts: ContextTable,
) -> Iterator[bytes]:
    name, namespace = root
    top = shared_context(shown)
    declared = _declared(top, contexts) if top is not None else {}
    bound = "".join([f" xmlns:{prefix}={attribute(uri)}" for prefix, uri in declared.items()])
    yield (
        f"{PROLOG}<{name} {namespace}{bound} schemaVersion={attribute(SCHEMA_VERSION)}"
        f" creationDate={attribute(created)}>{begin}"
    ).encode()
    names: Names | None = None
    context: Sequence[object] | None = None
    for index, one in enumerate(shown):
        # Each event may have a list of its own that says the same.
        if names is None or (one.context is not context and list(one.context) != context):
            context, names = list(one.context), names_of(one.context, contexts)
            writer = Writer(names, declared, cbv)
        try:
            yield (write_event(one.event, writer) + "\n").encode()
        except NoXMLForm as error:
            raise _placed(error, name, index) from None
    yield f"{end}</{name}>\n".encode()


def _declared(context: Sequence[object], contexts: ContextTable) -> Mapping[str, str]:
    """The prefixes that the context itself binds: declared once around all events."""
    own = {prefix for entry in context if isinstance(entry, dict) for prefix in entry}
    bound = names_of(context, contexts).bound
    return {prefix: bound[prefix] for prefix in sorted(own & bound.keys() - {"epcis", "epcisq"})}


def _placed(error: NoXMLForm, root: str, index: int) -> NoXMLForm:
    where = EVENT_LISTS[root.partition(":")[2]]
    return NoXMLForm(error.expected, error.got, f"{where}/{index}{error.pointer}")
