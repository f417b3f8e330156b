"""Commands of control keys: one request, one command, one mandate that carries exactly its scope.

Every command is a request to the admin API, made inside; what it may do there is what the API lets the
control key do.
"""
