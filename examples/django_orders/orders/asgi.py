"""The project with its hub.

cd examples/django_orders && hubbub serve --app orders.asgi:application
"""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orders.settings")
django = get_asgi_application()  # before the next import, which needs Django's apps

from .realtime import hub  # noqa: E402

application = hub.wrap(django, at="/realtime")
