# SPDX-License-Identifier: MIT
"""Web frameworks and servers: which requests are traced, under which name, and what a worker process does when it begins and ends.

    requests    which requests are picked, their labels, and the frame beneath which one is traced
    wsgi, asgi  middleware for any framework; the standard library alone
    flask, django, starlette   the route's template as the label (FastAPI is Starlette's)
    workers     what a worker process does when it begins and ends
    gunicorn    hooks for its configuration file
    uwsgi       an import in the application's module
    celery      its worker processes, and a class of tasks that may be traced
    multiprocessing   workers that profile themselves from their first moment to their last

Nothing here imports a framework before the program has.
"""
