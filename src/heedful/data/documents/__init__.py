"""Documents whose structure comes back intact when their texts are answered."""

from __future__ import annotations

from heedful.data.documents.document import Document, Segment
from heedful.data.documents.opening import DocumentFormat, document_format, open_document, read_document

__all__ = ["Document", "DocumentFormat", "Segment", "document_format", "open_document", "read_document"]
