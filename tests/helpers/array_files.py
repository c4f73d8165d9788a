"""Writers of the files of arrays that the project reads, as their own tools write them."""

import functools

import h5py
import numpy as np
import scipy.io


def save_npz(path, content):
    np.savez(path, **content)


def save_packed_npz(path, content):
    np.savez_compressed(path, **content)


def save_h5(path, content):
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            is_text = isinstance(value, list) and isinstance(value[0], str)
            file.create_dataset(name, data=value, dtype=h5py.string_dtype() if is_text else None)


def save_matlab_4(path, content):
    scipy.io.savemat(path, content, format="4")


def save_matlab_5(path, content, **options):
    """Lists are cell arrays."""
    cells = {
        name: np.array(value, dtype=object) if isinstance(value, list) else value
        for name, value in content.items()
    }
    scipy.io.savemat(path, cells, **options)


def save_matlab_73(path, content):
    """HDF5 behind a header: at least two axes, in reverse; cells as references to characters."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            if isinstance(value, list):
                entry = file.create_dataset(
                    name, data=_cells(file, name, value), dtype=h5py.ref_dtype
                )
                entry.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                array = np.asarray(value)
                array = array.T if array.ndim > 1 else array.reshape(-1, 1)
                entry = file.create_dataset(name, data=array)
                entry.attrs["MATLAB_class"] = np.bytes_(array.dtype.name)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def _cells(file, name, texts):
    cells = [
        file.create_dataset(
            f"#refs#/{name}{number}",
            data=np.frombuffer(text.encode("utf-16-le"), np.uint16)[:, None],
        )
        for number, text in enumerate(texts)
    ]
    return np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype)


SAVERS = {
    "npz": (".npz", save_npz),
    "compressed npz": (".npz", save_packed_npz),
    "h5": (".h5", save_h5),
    "hdf5": (".hdf5", save_h5),
    "MATLAB 5": (".mat", save_matlab_5),
    "MATLAB 7": (".mat", functools.partial(save_matlab_5, do_compression=True)),
    "MATLAB 7.3": (".mat", save_matlab_73),
    "rows in a .mat": (".mat", save_h5),
    "columns in an .h5": (".h5", save_matlab_73),
}
"""A file's ending and its writer, by the form."""
