"""What can be wrong with panoptic data: how bad it is, what it is, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from tfpanoptic.panoptic_map import MAX_CATEGORY
from tfpanoptic.settings.sizes import MOST_PIXELS

# Segments of fewer pixels are named; own choice: one cell of a head at stride 4.
TINY_AREA = 16
# Images with a larger share of void are named. Own choice.
MUCH_VOID = 0.5
# Images are said to differ in size if their long sides differ by more than this factor. Own choice.
FAR_SIDES = 4


class Kind(NamedTuple):
    """One kind of finding: how bad it is, what it says of each of its cases, and what to do."""

    level: str
    what: str
    advice: str


# An error is what training or evaluation refuses, or what makes their numbers wrong.
KINDS = {
    "json-unreadable": Kind(
        "error", "the JSON cannot be read", "give the panoptic JSON, or the folder that has it; it is text in UTF-8"
    ),
    "data-unreadable": Kind("error", "the data cannot be read as the configuration says", "correct what it names"),
    "json-instances": Kind(
        "error",
        "this is an *instances* JSON: masks of single objects, not segments of whole images",
        "give the panoptic JSON (COCO: panoptic_val2017.json with its folder of PNGs), or convert it: "
        "tfpanoptic data convert --from coco-instances",
    ),
    "json-other": Kind(
        "error",
        "the JSON is no panoptic one",
        "it needs the lists images, annotations (with segments_info) and categories",
    ),
    "folder-missing": Kind("error", "folder not found", "give the right one with --images or --panoptic"),
    "no-images": Kind("error", "the JSON lists no image that can be used", "correct its lists images and annotations"),
    "no-category": Kind("error", "no category that can be used", "list the categories of the segments"),
    "isthing-missing": Kind(
        "error",
        "category without isthing",
        'add "isthing": 1 to categories with countable things and 0 to stuff; the JSON may be an instances one',
    ),
    "category-invalid": Kind("error", "category with a missing or wrong value", "correct the list categories"),
    "too-many-categories": Kind(
        "error", f"more than {MAX_CATEGORY:,} categories, which a panoptic map cannot hold", "leave out those unused"
    ),
    "category-twice": Kind("error", "category id or name used twice", "give every category one id and one name"),
    "image-invalid": Kind("error", "entry of images with a missing or wrong value", "correct the entry"),
    "image-id-twice": Kind("error", "image id used twice", "give every image an id of its own"),
    "file-name-twice": Kind("error", "file name used twice", "list every image once"),
    "annotation-invalid": Kind("error", "annotation with a missing or wrong value", "correct the entry"),
    "annotation-twice": Kind("error", "second annotation of one image", "join the annotations, or remove one"),
    "image-without-annotation": Kind(
        "error", "image without an annotation", "add one (segments_info may be empty), or remove the image"
    ),
    "annotation-without-image": Kind(
        "error", "annotation of an image that is not listed", "list the image, or remove the annotation"
    ),
    "png-shared": Kind("error", "two annotations name one PNG", "give every image a PNG of its own"),
    "segment-invalid": Kind(
        "error",
        "segment with a missing or wrong value",
        "a segment needs id (1 to 16777215), category_id and area, integers; iscrowd is 0 or 1",
    ),
    "segment-twice": Kind("error", "segment id used twice in an image", "give the segments of an image different ids"),
    "category-unknown": Kind(
        "error", "segment of a category that is not listed", "list it in categories, or correct category_id"
    ),
    "stuff-crowd": Kind("error", "stuff marked as a crowd", "set iscrowd to 0: only things come in crowds"),
    "too-many-instances": Kind(
        "error", "more than 9,999 instances of a category in one image", "cut the image into tiles"
    ),
    "split-same": Kind(
        "error",
        "every image of val is one of train: one of them was given for the other",
        "give val images that are not trained on: on training images the PQ flatters, and the best weights are wrong",
    ),
    "split-kinds": Kind(
        "error", "category that is a thing in one split and stuff in the other", "give it the same isthing in both"
    ),
    "image-missing": Kind("error", "image file not found", "unpack it, or correct file_name or --images"),
    "image-unreadable": Kind("error", "image file damaged or no image", "copy it again"),
    "image-size": Kind("error", "image of another size than the JSON says", "correct height and width in the JSON"),
    "image-turned": Kind(
        "error",
        "photo that its EXIF orientation turns, while the JSON has the sides as they are stored",
        "remove the orientation from the photos if the truth fits them as stored, else turn the truth and the JSON",
    ),
    "png-missing": Kind("error", "truth PNG not found", "unpack it, or correct its file_name or --panoptic"),
    "png-unreadable": Kind("error", "truth PNG damaged", "copy it again"),
    "png-kind": Kind(
        "error",
        "truth is no RGB PNG of 8 bits a channel",
        "save segment ids as colours: id = R + 256 G + 65536 B, without compression losses",
    ),
    "png-photo": Kind("error", "truth PNG that is the photo", "give the folder of truth PNGs, not that of the photos"),
    "png-swapped": Kind(
        "error",
        "truth PNG with red and blue swapped, as OpenCV writes RGB arrays",
        "save R, G, B in this order: id = R + 256 G + 65536 B",
    ),
    "png-colors": Kind(
        "error",
        "truth PNG with the colours of categories in place of segment ids",
        "save ids, one for each segment; colours alone do not tell instances apart",
    ),
    "png-blurred": Kind(
        "error",
        "truth PNG with many unknown ids of few pixels, as colours between segments are",
        "it was saved as JPEG or resized with interpolation: write it anew from the source, with nearest neighbours",
    ),
    "png-size": Kind(
        "error",
        "truth PNG of another size than the JSON says",
        "correct the JSON, or resize the PNG with nearest neighbours",
    ),
    "id-unlisted": Kind(
        "error", "segment in the PNG that the JSON does not list", "list it, or set its pixels to 0, void"
    ),
    "id-absent": Kind("error", "segment in the JSON without a pixel in the PNG", "remove it from the JSON"),
    "area-differs": Kind(
        "error", "area in the JSON is not the number of pixels", "write the pixel counts: PQ is computed with area"
    ),
    "bbox-differs": Kind("warning", "bbox in the JSON is not that of the pixels", "write (x, y, width, height)"),
    "png-palette": Kind(
        "warning", "truth PNG with a palette, whose colours are read as ids", "save it as RGB, if the indices are meant"
    ),
    "stuff-pieces": Kind(
        "warning",
        "image with stuff of one category in several segments",
        "join them, or set isthing to 1 if they are things: networks give one segment of a stuff category",
    ),
    "nothing-labelled": Kind("error", "no image has a segment", "annotate the images: there is nothing to learn"),
    "no-segment": Kind("warning", "image without any segment", "annotate it, or remove it"),
    "much-void": Kind("warning", "image that is more than half void", "check that nothing was left out"),
    "category-unseen": Kind("warning", "category without a segment", "nothing teaches or measures it here"),
    "category-untaught": Kind(
        "warning",
        "category that val has and train does not show",
        "nothing teaches it, so it counts as missed: add images to train, or leave it out",
    ),
    "category-unmeasured": Kind(
        "warning", "category that train shows and val does not", "nothing measures it: move some images to val"
    ),
    "category-unlisted": Kind(
        "warning",
        "category of val that the JSON of train does not list",
        "a network does not know it, so it counts as missed; if it is one of train's, give it the same name",
    ),
    "things-single": Kind(
        "warning",
        "things with never more than one segment of a category in an image: perhaps these are semantic labels",
        "give each object a segment of its own if images show several; else nothing",
    ),
    "split-sizes": Kind("warning", "val has more images than train", "see that they are not mixed up"),
    "image-orientation": Kind(
        "warning",
        "photo that its EXIF orientation turns or mirrors",
        "see that the truth lies on the upright photo; if it was drawn on the stored one, remove the orientation",
    ),
    "image-copy": Kind("warning", "image that equals an earlier one, byte by byte", "remove one of them"),
    "split-copy": Kind(
        "warning", "image that equals one of the other split", "remove it: measuring on training images flatters"
    ),
    "split-shared": Kind(
        "warning", "file that both splits list as an image", "list it in one: measuring on training images flatters"
    ),
    "image-blank": Kind("warning", "photo of one single colour", "look at it: was it exported or copied wrongly?"),
    "image-cut": Kind(
        "warning",
        "photo whose lower part is one flat colour, as that of a JPEG cut short",
        "look at it, and copy it again",
    ),
    "image-frames": Kind(
        "warning", "file of several images, of which the first is taken", "save the others as files of their own"
    ),
    "image-few-levels": Kind(
        "warning",
        "photo of 16 bits of which the high byte keeps few grey levels",
        "train with input.deep_grey=file_range, which stretches each file's range",
    ),
    "name-absolute": Kind(
        "warning", "file name that is an absolute path", "write it from the folder on: elsewhere it leads to nothing"
    ),
    "no-things": Kind(
        "warning",
        "no thing is labelled: instances are neither learned nor measured",
        "nothing, if stuff is all that is wanted; else set isthing to 1 for what can be counted",
    ),
    "no-stuff": Kind(
        "warning",
        "no stuff is labelled: what is no thing is void, which is not measured, nor learned by most models",
        "label it, or make the rest a category: data.remap.void=NAME in a configuration, data convert --rest NAME",
    ),
    "category-ids": Kind("info", "category with another id in the other split", "nothing: names are what counts"),
    "image-ids": Kind(
        "info", "image id that stands for another image in the other split", "nothing, unless the splits are joined"
    ),
    "image-by-pillow": Kind(
        "info", "photo that TensorFlow does not decode: Pillow does, which is slower", "save it as JPEG or PNG, RGB"
    ),
    "image-large": Kind(
        "info",
        f"photo of more than {MOST_PIXELS // 1_000_000} million pixels, which a network does not take as it is",
        "set input.max_long_side, or predict with --tile",
    ),
    "sizes-differ": Kind(
        "info",
        f"images of very different sizes, by a factor of more than {FAR_SIDES}",
        "input.short_side or input.long_side makes them alike",
    ),
    "crowd": Kind("info", "crowd: it counts as neither found nor missed", "nothing"),
    "tiny": Kind("info", f"segment of fewer than {TINY_AREA} pixels", "see the ceiling of small segments"),
    "unlisted-file": Kind("info", "file that the JSON does not list", "nothing, if it is meant so"),
}
