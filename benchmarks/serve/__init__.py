"""How the server does under load: closed loop over a list of concurrencies, open loop over a list of rates.

`animals bench serve` calls `run.run`. Server, client and what they are compared with are processes of their own:
`client` sends photos, `alone` measures a photo without a server. docs/serve.md says what the numbers mean.
"""
