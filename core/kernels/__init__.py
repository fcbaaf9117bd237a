"""All compiled code: NumPy and Numba only, nothing else of jiepin.

A compiled function calls only compiled functions of its own file, since an edit in
another file would leave a cached caller stale. Kernels count, then fill; they never
grow an array, print or raise, so sizes are settled before the call.
"""
