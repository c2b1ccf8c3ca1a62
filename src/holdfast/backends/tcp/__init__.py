"""The backends `tcp` and `stream`: sessions on connections to servers, or bytes as they are."""
