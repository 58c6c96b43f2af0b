"""Many networks on many machines: an existing Dask cluster gets one network after the other.

The machines share the folders of the recording and of the output. What a worker has finished lies there, so that one
that dies costs the layers it had not finished: Dask gives its network to another worker, which goes on.
"""

from tqdm.auto import tqdm

from itneurons.scoring.command import score_one


def score_on_cluster(networks, path, options, address, retries=3):
    """Score networks on a Dask cluster.

    Parameters
    ----------
    networks : sequence of str
    path : Path
        Of the recording, as every worker sees it.
    options : dict
        For ``score_one``.
    address : str
        Of the scheduler.
    retries : int
        How often a network is tried again on another worker.

    Returns
    -------
    failed : dict of str to str
        Networks that could not be scored, and why.

    Raises
    ------
    OSError
        If Dask is not installed or no scheduler answers.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise OSError("A cluster needs Dask: pip install 'itneurons[cluster]'") from error
    try:
        client = Client(address)
    except OSError as error:
        raise OSError(
            f"no Dask scheduler answers at {address} ({error}): start one with the command dask scheduler"
        ) from error
    failed = {}
    with client:
        # a network a worker at a time: each takes all the memory that it may
        futures = {
            client.submit(
                score_one, network, path, options, key=f"score {network}", retries=retries, pure=False
            ): network
            for network in networks
        }
        for future in tqdm(as_completed(futures), total=len(networks), desc="networks", unit="network"):
            if future.status == "error":
                failed[futures[future]] = str(future.exception())
                print(f"{futures[future]} is left out: {future.exception()}", flush=True)
    return failed
