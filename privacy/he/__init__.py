"""Classification of encrypted features: CKKS on the raw SEAL bindings of TenSEAL.

`parameters`, `layout`, `activation` and `flooding` are pure; `scheme` and `frames` are what both sides share;
`keys` belongs to the client alone; `evaluate` (linear heads) and `network` (two layers) work on public
material only and never import `keys`.
"""
