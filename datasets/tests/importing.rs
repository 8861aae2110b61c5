//! Imports: what gets in, what is left out and why, and what is on disk when it goes wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use geosurge_datasets::{
    Dataset, Error, ImportOptions, ImportReport, Progress, decode_image, encode_segmentation, import,
};
use image::{GrayImage, ImageFormat};
use support::{encoded, jpeg_at, write};

fn run(sources: &[&Path], out: &Path, options: &ImportOptions) -> Result<ImportReport, Error> {
    let sources: Vec<PathBuf> = sources.iter().map(|source| source.to_path_buf()).collect();
    import(&sources, out, options, &|_| ())
}

/// The skipped files' names and codes.
fn codes(report: &ImportReport) -> BTreeMap<String, &'static str> {
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    report
        .skipped
        .iter()
        .map(|skipped| (name(&skipped.file), skipped.code))
        .collect()
}

/// Every file below a folder, relative to it.
fn files(folder: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| entry.path().strip_prefix(folder).unwrap().display().to_string())
        .collect()
}

#[test]
fn a_folder_of_photos_becomes_a_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    write(photos.join("a.jpg"), jpeg_at(1, 51.5, -0.125));
    write(photos.join("deep/er/b.JPG"), jpeg_at(2, -33.875, 151.25));
    write(photos.join("deep/no extension"), jpeg_at(3, 1.0, 1.0));
    write(photos.join("copy of a.jpg"), jpeg_at(1, 51.5, -0.125));
    write(photos.join("nowhere.png"), encoded(4, ImageFormat::Png));
    write(photos.join("cut.jpg"), &jpeg_at(5, 1.0, 1.0)[..700]);
    write(photos.join("empty.jpg"), b"");
    write(photos.join("text.jpg"), "not a photo");
    write(photos.join("new.heic"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    write(photos.join("notes.txt"), "notes");
    write(photos.join(".hidden.jpg"), jpeg_at(6, 1.0, 1.0));
    let out = dir.path().join("dataset");
    let seen = Mutex::new(Vec::new());
    let report = import(
        std::slice::from_ref(&photos),
        &out,
        &ImportOptions::default(),
        &|progress| {
            seen.lock().unwrap().push(progress);
        },
    )
    .unwrap();

    assert_eq!((report.imported, report.ignored), (3, 1));
    let expected = [
        ("copy of a.jpg", "duplicate"),
        ("cut.jpg", "truncated"),
        ("empty.jpg", "empty-file"),
        ("new.heic", "unsupported-format"),
        ("nowhere.png", "no-gps"),
        ("text.jpg", "not-an-image"),
    ];
    assert_eq!(
        codes(&report),
        expected.map(|(file, code)| (file.to_owned(), code)).into()
    );
    let duplicate = report
        .skipped
        .iter()
        .find(|skipped| skipped.code == "duplicate")
        .unwrap();
    assert_eq!(
        duplicate.reason,
        format!("duplicate of {}", photos.join("a.jpg").display())
    );
    let heic = report
        .skipped
        .iter()
        .find(|skipped| skipped.code == "unsupported-format")
        .unwrap();
    assert!(
        heic.reason.contains("unsupported") && heic.reason.contains("HEIC"),
        "{}",
        heic.reason
    );

    let dataset = Dataset::open(&out).unwrap();
    assert_eq!(dataset.len(), 3);
    assert!((dataset.photos()[0].location.latitude() - 51.5).abs() < 1e-6);
    for (index, photo) in dataset.photos().iter().enumerate() {
        assert!(photo.path.is_absolute() && photo.sha256.as_ref().is_some_and(|hash| hash.len() == 64));
        decode_image(dataset.image_path(index), &Default::default()).unwrap();
    }
    assert_eq!(files(&out), ["photos.parquet", "skipped.csv"]);
    let skipped = fs_err::read_to_string(out.join("skipped.csv")).unwrap();
    assert_eq!(
        (skipped.lines().next().unwrap(), skipped.lines().count()),
        ("file,code,reason", 7)
    );

    let mut progress = seen.into_inner().unwrap();
    progress.sort_by_key(|progress| progress.done);
    let expected: Vec<Progress> = (1..=9).map(|done| Progress { done, total: 9 }).collect();
    assert_eq!(progress, expected);
}

#[test]
fn the_report_as_json_has_the_promised_shape() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path().join("a.jpg"), jpeg_at(1, 51.5, -0.125));
    let bad = write(dir.path().join("b.jpg"), b"");
    let report = run(&[&good, &bad], &dir.path().join("out"), &ImportOptions::default()).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["imported"], 1);
    assert_eq!(json["skipped"][0]["file"], bad.to_str().unwrap());
    assert!(
        json["skipped"][0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("empty-file: "),
        "{json}"
    );
}

#[test]
fn a_table_gives_places_maps_and_people() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("images/a.png"), encoded(1, ImageFormat::Png));
    write(dir.path().join("images/b.jpg"), jpeg_at(2, 1.0, 1.0));
    encode_segmentation(&GrayImage::new(32, 24), dir.path().join("maps/a.png")).unwrap();
    write(dir.path().join("maps/bad.png"), encoded(1, ImageFormat::Png));
    let table = write(
        dir.path().join("places.csv"),
        "file,latitude,longitude,map,user,city,country\n\
         images/a.png,51.5,-0.125,maps/a.png,ann,London,UK\n\
         images/b.jpg,60,10,,bo,,\n\
         images/a.png,51.5,-0.25,,,,\n\
         images/missing.png,51.5,-0.125,,,,\n\
         images/c.png,91,0,,,,\n\
         images/d.png,north,0,,,,\n\
         images/b.jpg,60,10,maps/bad.png,,,\n",
    );
    for source in [&table, &dir.path().to_path_buf()] {
        let out = dir.path().join("out");
        let report = run(&[source], &out, &ImportOptions::default()).unwrap();
        assert_eq!(report.imported, 2);
        let codes: Vec<_> = report.skipped.iter().map(|skipped| skipped.code).collect();
        assert_eq!(
            codes,
            [
                "duplicate",
                "missing-file",
                "bad-row",
                "bad-row",
                "bad-segmentation"
            ]
        );
        assert!(
            report.skipped[0].reason.contains("another place"),
            "{}",
            report.skipped[0].reason
        );
        assert!(
            report.skipped[1].reason.contains("--images"),
            "{}",
            report.skipped[1].reason
        );
        assert!(
            report.skipped[2].reason.contains("line 6"),
            "{}",
            report.skipped[2].reason
        );
        let dataset = Dataset::open(&out).unwrap();
        let [a, b] = dataset.photos() else {
            panic!("two photos")
        };
        assert_eq!(
            (a.uploader.as_deref(), a.place.as_deref()),
            (Some("ann"), Some("London, UK"))
        );
        assert_eq!(
            dataset.segmentation_path(0).unwrap(),
            dir.path().join("maps/a.png").canonicalize().unwrap()
        );
        assert_eq!(b.location.latitude(), 60.0, "the table's place wins over EXIF");
        fs_err::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn images_of_a_table_may_lie_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("elsewhere");
    write(images.join("a.png"), encoded(1, ImageFormat::Png));
    let table = write(dir.path().join("t/t.csv"), "IMG_ID,LAT,LON\na.png,51.5,-0.125\n");
    let options = ImportOptions {
        images: Some(images),
        ..ImportOptions::default()
    };
    assert_eq!(
        run(&[&table], &dir.path().join("out"), &options)
            .unwrap()
            .imported,
        1
    );
}

#[test]
fn photos_inside_the_dataset_are_named_relative_to_it() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("images/a.jpg"), jpeg_at(1, 51.5, -0.125));
    for imported in [1, 2] {
        let report = run(&[dir.path()], dir.path(), &ImportOptions::default()).unwrap();
        assert_eq!((report.imported, report.skipped.len()), (imported, 0));
        assert_eq!(
            Dataset::open(dir.path()).unwrap().photos()[0].path,
            Path::new("images/a.jpg")
        );
        // A photo that arrives later is found by the next import, past the first one's manifest.
        write(dir.path().join("images/b.jpg"), jpeg_at(2, 51.5, -0.125));
    }
}

#[test]
fn copies_make_a_dataset_that_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    write(photos.join("a.jpg"), jpeg_at(1, 51.5, -0.125));
    write(photos.join("b.jpg"), jpeg_at(2, 51.5, -0.125));
    let out = dir.path().join("out");
    let options = ImportOptions {
        copy: true,
        ..ImportOptions::default()
    };
    assert_eq!(run(&[&photos], &out, &options).unwrap().imported, 2);
    let first = files(&out);
    assert_eq!(first.len(), 4);
    assert_eq!(run(&[&photos], &out, &options).unwrap().imported, 2);
    assert_eq!(files(&out), first, "a second run copies to the same names");
    fs_err::remove_dir_all(&photos).unwrap();
    let moved = dir.path().join("moved");
    fs_err::rename(&out, &moved).unwrap();
    let dataset = Dataset::open(&moved).unwrap();
    for index in 0..dataset.len() {
        decode_image(dataset.image_path(index), &Default::default()).unwrap();
    }
}

#[test]
fn a_dataset_can_be_imported_into_another() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    write(first.join("a.jpg"), jpeg_at(1, 51.5, -0.125));
    run(&[&first], &first, &ImportOptions::default()).unwrap();
    assert_eq!(
        run(&[&first], &second, &ImportOptions::default())
            .unwrap()
            .imported,
        1
    );
    assert_eq!(
        Dataset::open(&second).unwrap().image_path(0),
        first.join("a.jpg").canonicalize().unwrap()
    );
}

#[test]
fn swapped_columns_stop_the_import() {
    let dir = tempfile::tempdir().unwrap();
    let table = write(
        dir.path().join("t.csv"),
        "file,longitude,latitude\na.jpg,31.9,102.2\nb.jpg,34.5,41.9\n",
    );
    let error = run(&[&table], &dir.path().join("out"), &ImportOptions::default()).unwrap_err();
    assert_eq!(error.reason(), "bad-manifest");
    assert!(
        error.to_string().contains("swapped") && error.to_string().contains("1 of its 2 rows"),
        "{error}"
    );
}

#[test]
fn a_failed_import_leaves_nothing_and_an_old_dataset_alone() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    let out = dir.path().join("out");
    fs_err::create_dir(&photos).unwrap();
    let fails = |options: &ImportOptions, words: &str| {
        let error = run(&[&photos], &out, options).unwrap_err();
        assert!(error.to_string().contains(words), "{words:?} is not in {error}");
        error.reason()
    };
    let lenient = ImportOptions::default();
    let strict = ImportOptions {
        strict: true,
        ..ImportOptions::default()
    };
    assert_eq!(fails(&lenient, "no photo was found"), "no-photos");
    write(photos.join("bad.jpg"), b"");
    assert_eq!(fails(&lenient, "1 empty-file"), "no-photos");
    assert!(!out.exists());

    write(photos.join("good.jpg"), jpeg_at(1, 51.5, -0.125));
    assert_eq!(fails(&strict, "bad.jpg is empty"), "empty-file");
    assert!(!out.exists());

    assert_eq!(run(&[&photos], &out, &lenient).unwrap().imported, 1);
    let before = fs_err::read(out.join("photos.parquet")).unwrap();
    write(photos.join("also good.jpg"), jpeg_at(2, 51.5, -0.125));
    assert_eq!(fails(&strict, "bad.jpg is empty"), "empty-file");
    assert_eq!(fs_err::read(out.join("photos.parquet")).unwrap(), before);

    // A progress callback that panics stands for a run that dies half-way.
    let sources = [photos.clone()];
    let died = std::panic::catch_unwind(|| import(&sources, &out, &lenient, &|_| panic!("the run dies")));
    assert!(died.is_err());
    assert_eq!(fs_err::read(out.join("photos.parquet")).unwrap(), before);
    assert_eq!(files(&out), ["photos.parquet", "skipped.csv"]);
}

#[test]
fn sources_that_are_not_there_and_outputs_that_cannot_be_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = run(
        &[Path::new("/no/such/photos")],
        &dir.path().join("out"),
        &ImportOptions::default(),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("/no/such/photos does not exist"),
        "{error}"
    );
    let error = run(&[], &dir.path().join("out"), &ImportOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("nothing to import was given"),
        "{error}"
    );
    let photo = write(dir.path().join("a.jpg"), jpeg_at(1, 51.5, -0.125));
    let error = run(&[&photo], &photo, &ImportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("it is a file"), "{error}");
}
