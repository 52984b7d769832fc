"""Classification of encrypted features: CKKS on the raw SEAL bindings of TenSEAL.

`parameters` and `layout` are pure; `scheme` is what both sides share; `keys` belongs to the client alone;
`evaluate` works on public material only and never imports `keys`.
"""
