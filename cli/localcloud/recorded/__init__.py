"""The recorded API: real operations of AWS that moto does not have, answered from a store.

moto cannot create some kinds of things at all. These are recorded: a request is checked against
botocore's service model, kept by the local cloud's server for as long as it lives, and shown by the
operations that show it, so that every client of the endpoint sees it. Nothing acts on it.

`kinds` has one module a service, with `RECORDED` (kinds of things) and `AMENDED` (operations whose
answer lacks something).
"""
