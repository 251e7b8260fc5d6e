"""Wire languages. Each dialect decodes commands and encodes replies and events; none does I/O."""
