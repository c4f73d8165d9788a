"""The values that pages show and the API returns."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Id = Annotated[int, Field(ge=1, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Box = tuple[float, float, float, float]
"""x, y, width and height in pixels of the upright photo."""


_DATE = Field(
    description="When it was taken or, if unknown, when the file was changed, as YYYY-MM-DD."
)
_TAKEN = Field(
    description="When it was taken, as YYYY-MM-DDTHH:MM:SS in the time of the camera, if known."
)
_LENGTH = Field(description="Length of a video in seconds; null for a photo.")


class Error(BaseModel):
    """Why a request failed, in one line."""

    error: str


class SessionInfo(BaseModel):
    """What a client needs to know before it changes something."""

    csrf_token: str = Field(description="To be sent as the header X-CSRF-Token with every change.")


class QueryFaceInfo(BaseModel):
    """A face of an uploaded picture."""

    face: int = Field(description="1 for the largest.")
    box: Box
    no_verdict: str | None


class QueryInfo(BaseModel):
    """An uploaded picture, which can be searched for until it expires."""

    id: str
    name: str
    width: int
    height: int
    damage: str | None
    expires_in: float = Field(description="Seconds.")
    faces: list[QueryFaceInfo]


class HitInfo(BaseModel):
    """A face of the library that is near the query."""

    rank: int
    face_id: int
    photo_id: int
    person_id: int | None
    name: str | None
    shown_name: str = Field(description='The name, "unknown", "no verdict", or empty.')
    within_threshold: bool | None
    no_verdict: str | None
    distance: float
    distance_text: str
    probability: float | None = Field(
        description="That the query is this person, calibrated, 0 to 1, where it was measured."
    )
    box: Box
    seconds: float | None = Field(description="In a video, the time of the frame with the box.")
    photo_width: int | None
    photo_height: int | None
    files: list[str] = Field(description="The photo and its copies, by file name.")
    paths: list[str] | None = Field(description="The same by path, with --show-paths only.")
    damage: str | None


class ResultInfo(BaseModel):
    """The nearest faces to one face."""

    face: int
    metric: str
    unit: str
    threshold: float | None
    more: bool = Field(description="Whether there are more faces than those listed.")
    hits: list[HitInfo]


class PersonInfo(BaseModel):
    """A person with a name."""

    id: int
    name: str
    faces: int
    photos: int
    face_id: int = Field(description="The clearest face.")


class PersonDetails(PersonInfo):
    """A person with a name, and all photos of this person, the newest first."""

    earlier_names: list[str]
    photo_list: list["PhotoInfo"]


class PeoplePage(BaseModel):
    """A part of all people, those with the most photos first."""

    total: int
    unnamed_faces: int
    people: list[PersonInfo]


class PhotoInfo(BaseModel):
    """A photo, and the faces in question."""

    id: int
    file: str
    path: str | None
    date: str = _DATE
    taken: str | None = _TAKEN
    face_ids: list[int]
    seconds: float | None = _LENGTH


class PhotosPage(BaseModel):
    """A part of all photos with faces, the newest first."""

    total: int
    photos: list[PhotoInfo]


class FaceInfo(BaseModel):
    """A face of a photo."""

    id: int
    number: int
    box: Box
    name: str | None
    person_id: int | None
    named_by: Literal["folders", "csv", "user"] | None
    added_by_hand: bool
    seconds: float | None = Field(description="Of a face in a video, the time of its frame.")
    first_seconds: float | None = Field(description="When it was seen there first.")
    last_seconds: float | None = Field(description="When it was seen there last.")


class MomentInfo(BaseModel):
    """A time in a video, and the faces in its frame."""

    seconds: float
    face_ids: list[int]


class PhotoDetails(BaseModel):
    """A photo with its faces, the largest first."""

    id: int
    files: list[str]
    paths: list[str] | None
    date: str = _DATE
    taken: str | None = _TAKEN
    width: int | None
    height: int | None
    damage: str | None
    seconds: float | None = _LENGTH
    moments: list[MomentInfo] = Field(
        description="The times of a video at which there are faces; empty for a photo."
    )
    faces: list[FaceInfo] = Field(description="Of a video those of all times.")


class StatementInfo(BaseModel):
    """Something that was said about names, and can be undone."""

    id: int
    kind: str
    made: int = Field(description="Seconds since 1970.")
    text: str


class Done(BaseModel):
    """What a change has done."""

    message: str


class Renamed(Done):
    """The person, after a change of the name."""

    person_id: int | None


class Added(Done):
    """A face that was added by hand."""

    face_id: int
    found: bool = Field(description="Whether the detector finds it in the box.")


class MergePreview(BaseModel):
    """What a merge would do."""

    into: PersonInfo
    people: list[PersonInfo]
    faces: int = Field(description="Faces of the merged person.")


class Forgotten(Done):
    """What was forgotten, and whether its traces are gone from the files of the library."""

    faces: int
    photos: int
    left: int = Field(description="Photos that remain because of other faces.")
    erased: bool


class UnreadInfo(BaseModel):
    """A file without a searchable face."""

    file: str
    path: str | None
    reason: str
    why: str


class EngineInfo(BaseModel):
    """A server with an index of the library."""

    name: str
    by: str
    pending_erase: bool


class RunInfo(BaseModel):
    """An index run that was started from the page."""

    state: Literal["none", "running", "stopping", "done", "stopped", "failed"]
    folder: str
    what: str
    done: int
    total: int | None
    seconds: float
    message: str


class StatusInfo(BaseModel):
    """Numbers of the library, and the index run."""

    empty: bool
    photos: int
    faces: int
    without_faces: int
    people: int
    named: int
    parked: int
    forgotten: int
    damaged: int
    unreadable: dict[str, int]
    megabytes: float
    detector: str
    embedder: str
    codes: str | None
    engines: list[EngineInfo]
    folders: list[str] = Field(description="Folders that can be indexed from the page, by name.")
    run: RunInfo


class SuggestionInfo(BaseModel):
    """A face without a name, and whose it probably is."""

    face_id: int
    photo_id: int
    name: str
    person_id: int | None
    probability: float = Field(description="Calibrated, 0 to 1.")
    distance: float
    nearest_face_id: int = Field(description="The nearest face of that person.")
    second: str | None = Field(description="The next person.")


class SuggestionsPage(BaseModel):
    """The most probable suggestions."""

    total: int
    unnamed: int
    calibration: str = Field(description="Where the probabilities come from.")
    suggestions: list[SuggestionInfo]


class ClusterInfo(BaseModel):
    """Faces without a name that are probably of one person."""

    id: int
    size: int
    face_ids: list[int] = Field(description="At most 60 of them, the clearest first.")


class ClustersPage(BaseModel):
    """A part of all clusters, the largest first."""

    total: int
    clusters: list[ClusterInfo]
