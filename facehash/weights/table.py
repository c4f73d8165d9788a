"""The table of pretrained weights: source, license, size and digest."""

from dataclasses import dataclass

# A commit rather than a branch, whose file may change.
_ZOO = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/"
    "47534e27c9851bb1128ccc0102f1145e27f23f98/models"
)
_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Weights:
    """A file of pretrained weights."""

    name: str  # as in commands
    file: str  # file name in a folder of weights
    size: int  # bytes
    # None if nobody has published it; then `md5` is the digest that Keras publishes, and the
    # SHA-256 is written beside the file when it is added or fetched, and required from then on.
    sha256: str | None
    licence: str
    url: str | None = None  # source of `facehash weights fetch`; None if a package has the file
    md5: str | None = None
    package: tuple[str, str] | None = None  # module that contains the file, folder inside it
    install: str = ""  # command that installs this package

    @property
    def remedy(self) -> str:
        """The command that installs the weights."""
        return self.install or f"facehash weights fetch {self.name}"


WEIGHTS = {
    entry.name: entry
    for entry in (
        Weights(
            name="yunet",
            file="face_detection_yunet_2023mar.onnx",
            size=232_589,
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            licence="MIT",
            url=f"{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        ),
        Weights(
            name="sface",
            file="face_recognition_sface_2021dec.onnx",
            size=38_696_353,
            sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
            licence="Apache-2.0",
            url=f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx",
        ),
        Weights(
            name="resnet50",
            file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            size=94_765_736,
            sha256=None,
            md5="4d473c1dd8becc155b73f8504c6f6626",
            licence="MIT",
            url=f"{_KERAS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        Weights(
            name="vgg16",
            file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            size=58_889_256,
            sha256=None,
            md5="6d6bbae143d832006294945121d1f1fc",
            licence="CC-BY-4.0",
            url=f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        Weights(
            name="dlib",
            file="dlib_face_recognition_resnet_model_v1.dat",
            size=22_466_066,
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            licence="CC0-1.0",
            package=("face_recognition_models", "models"),
            install="pip install 'facehash[dlib]'",
        ),
    )
}
