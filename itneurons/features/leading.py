"""Leading eigenvectors of a Gram matrix that is too large to decompose as a whole."""

import torch

from itneurons.features.gram import product

# rows of a matrix that is decomposed as a whole, which takes time that grows with their third power
MOST_EXACT = 4096


# random vectors that a Krylov space begins with: fewer make it the more exact, more the faster
_WIDTH = 256


def leading_eigenvectors(gram, n_vectors, n_more=2000, seed=0):
    """Eigenvectors of the largest eigenvalues of a symmetric positive matrix, from a block Krylov space.

    Some random vectors, and what the matrix makes of them again and again, are made orthonormal; the eigenvectors are
    those of the matrix within the space that they span (Golub and Underwood 1977; its accuracy: Musco and Musco 2015).

    Parameters
    ----------
    gram : tensor of shape (n, n)
    n_vectors : int
    n_more : int
        Dimensions of the space beside as many as vectors are wanted, at most twice as many as these. It takes a product
        with the matrix for each dimension: ``2 (n_vectors + n_more) n^2`` operations.
    seed : int
        Of the random vectors.

    Returns
    -------
    eigenvalues : tensor of shape (n_vectors,)
        By falling size.
    vectors : tensor of shape (n, n_vectors)
    """
    n = len(gram)
    n_dimensions = min(n_vectors + min(n_more, 2 * n_vectors), n)
    # a degree of at least ten in the matrix
    width = max(1, min(_WIDTH, n_dimensions // 10))
    # blocks of rows: each vector lies side by side in memory
    basis = torch.empty(n_dimensions, n, dtype=gram.dtype, device=gram.device)
    within = torch.zeros(n_dimensions, n_dimensions, dtype=gram.dtype, device=gram.device)
    block = torch.randn(width, n, generator=torch.Generator().manual_seed(seed)).to(gram)
    for first in range(0, n_dimensions, width):
        last = min(first + width, n_dimensions)
        block = block[: last - first]
        for _ in range(2):
            # twice is enough
            block = block - product(product(block, basis[:first]), basis[:first].T)
            block = torch.linalg.qr(block.T)[0].T
        basis[first:last] = block
        block = product(block, gram)
        within[first:last, :last] = product(block, basis[:last])
    # of a symmetric matrix the lower triangle is enough
    eigenvalues, vectors = torch.linalg.eigh(within)
    kept = vectors.flip(-1)[:, :n_vectors]
    return eigenvalues.flip(-1)[:n_vectors], product(basis.T, kept.T)
