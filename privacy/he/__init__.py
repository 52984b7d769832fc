"""Classification of encrypted features: CKKS on the raw SEAL bindings of TenSEAL.

`parameters`, `layout`, `activation` and `flooding` are pure. Both sides share `scheme`, `wire_format`,
`served_model` and `probes`. `keys` belongs to the client alone; `evaluate` (linear heads) and `network` (two
layers) work on public material only and never import `keys`.
"""
