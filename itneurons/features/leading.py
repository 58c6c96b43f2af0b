"""Leading eigenvectors of a Gram matrix that is too large to decompose as a whole."""

import torch

from itneurons.features.gram import product

# rows of a matrix that is decomposed as a whole, which takes time that grows with their third power
MOST_EXACT = 4096


def leading_eigenvectors(gram, n_vectors, n_more=200, n_products=6, seed=0):
    """Eigenvectors of the largest eigenvalues of a symmetric positive matrix, by subspace iteration.

    The matrix is applied to a block of random vectors, which are made orthonormal in between, and the eigenvectors are
    those of the matrix in the space that they span (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.3).

    Parameters
    ----------
    gram : tensor of shape (n, n)
    n_vectors : int
    n_more : int
        Random vectors beside as many as are wanted; the last eigenvectors get the more exact by them.
    n_products : int
        Of the matrix and the block; each one takes ``2 n^2 (n_vectors + n_more)`` operations.
    seed : int
        Of the random vectors.

    Returns
    -------
    eigenvalues : tensor of shape (n_vectors,)
        By falling size.
    vectors : tensor of shape (n, n_vectors)
    """
    generator = torch.Generator().manual_seed(seed)
    block = torch.randn(len(gram), min(n_vectors + n_more, len(gram)), generator=generator).to(gram)
    for _ in range(n_products - 1):
        block = torch.linalg.qr(product(gram, block.T))[0]
    small = block.T @ product(gram, block.T)
    eigenvalues, within = torch.linalg.eigh((small + small.T).double() / 2)
    kept = within.flip(-1)[:, :n_vectors].to(gram.dtype)
    return eigenvalues.flip(-1)[:n_vectors].to(gram.dtype), block @ kept
