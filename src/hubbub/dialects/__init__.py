"""The languages of the wire. Each decodes commands and encodes replies and events; none of them does I/O."""
