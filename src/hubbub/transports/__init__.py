"""How bytes come and go. Each transport turns them into sessions' frames or node operations, and back."""
