"""What everybody may see without signing in: commitments, and results in their time.

Before the moment of publication every page here is what it was before anything was
planned: who looks at lengths or at links learns nothing either.
"""
