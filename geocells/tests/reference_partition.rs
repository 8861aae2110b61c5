//! Agreement with the field's reference partitions of MP-16.
//!
//! The files are not part of the project: the tests look for them in `$GEOSURGE_SHARED`, else in `shared` beside the workspace, and skip
//! with a line on standard error where they are absent.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use geosurge_geocells::{
    GeocellId, Hierarchy, LatLng, LocationKind, PartitionConfig, assign, read_cells, read_coordinates,
    write_cells,
};

fn shared(file: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("GEOSURGE_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join("data").join(file);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "skipped: {} is absent; set GEOSURGE_SHARED to run this test",
        path.display()
    );
    None
}

const PARTITIONS: [(&str, u64, usize); 2] = [
    ("partition/cells_50_5000.csv", 5000, 3298),
    ("partition/cells_50_1000.csv", 1000, 12893),
];

#[test]
fn all_assignments_agree() {
    let Some(assignments) = shared("partition/yfcc_assignments.csv") else {
        return;
    };
    let mut reader = csv::Reader::from_path(assignments).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 12_800);
    for ((file, t_max, cells), column) in PARTITIONS.into_iter().zip([3, 4]) {
        let Some(file) = shared(file) else { return };
        let partition = read_cells(file).unwrap();
        assert_eq!(
            (partition.t_min(), partition.t_max(), partition.len()),
            (50, t_max, cells)
        );
        assert_eq!(partition.total_photos(), Some(4_723_695));
        let mut wrong = Vec::new();
        for row in &rows {
            let place = LatLng::new(row[1].parse().unwrap(), row[2].parse().unwrap()).unwrap();
            let ours = partition
                .locate(place)
                .map(|index| partition.class_label(index).to_string());
            if ours.as_deref() != Some(&row[column]) {
                wrong.push((row[0].to_owned(), ours, row[column].to_owned()));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} differ, first {:?}",
            wrong.len(),
            rows.len(),
            wrong[0]
        );
    }
}

#[test]
fn assigning_a_file_agrees_too() {
    let Some(assignments) = shared("partition/yfcc_assignments.csv") else {
        return;
    };
    let cells: Vec<PathBuf> = PARTITIONS.iter().filter_map(|(file, ..)| shared(file)).collect();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.csv");
    let summary = assign(&cells, &assignments, &out).unwrap();
    assert_eq!((summary.rows, summary.skipped.len()), (12_800, 0));
    assert_eq!(
        summary.located,
        [
            ("cells_50_5000".to_owned(), 12_800),
            ("cells_50_1000".to_owned(), 12_800)
        ]
    );
    let partitions: Vec<_> = cells.iter().map(|path| read_cells(path).unwrap()).collect();
    let theirs = csv::Reader::from_path(assignments).unwrap().into_records();
    for (ours, theirs) in csv::Reader::from_path(out).unwrap().into_records().zip(theirs) {
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(ours[0], theirs[0]);
        for (at, partition) in partitions.iter().enumerate() {
            let index = partition
                .index_of(GeocellId::from_token(&ours[at + 1]).unwrap())
                .unwrap();
            assert_eq!(partition.class_label(index).to_string(), theirs[at + 3]);
        }
    }
}

#[test]
fn the_reference_files_survive_a_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    for (file, ..) in PARTITIONS {
        let Some(path) = shared(file) else { return };
        let partition = read_cells(&path).unwrap();
        let copy = folder.path().join(path.file_name().unwrap());
        write_cells(&partition, &copy).unwrap();
        assert_eq!(read_cells(&copy).unwrap(), partition);
        let keys = |path: &PathBuf| -> Vec<String> {
            let text = fs_err::read_to_string(path).unwrap().replace("\r\n", "\n");
            text.lines()
                .map(|line| line.rsplitn(3, ',').last().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            keys(&copy),
            keys(&path),
            "labels, tokens, counts and the lines above them are the file's own"
        );
    }
}

#[test]
fn the_reference_files_form_a_hierarchy() {
    let partitions: Vec<_> = PARTITIONS.iter().filter_map(|(file, ..)| shared(file)).collect();
    if partitions.len() < 2 {
        return;
    }
    let hierarchy =
        Hierarchy::from_partitions(partitions.iter().map(|file| read_cells(file).unwrap()).collect())
            .unwrap();
    assert_eq!(
        hierarchy.unlocated(),
        [Some(4_723_695 - 4_718_111), Some(4_723_695 - 4_658_503)]
    );
    let too_full: Vec<_> = hierarchy
        .finest()
        .cells()
        .iter()
        .filter(|cell| cell.photos > 1000)
        .collect();
    assert_eq!(too_full.len(), 3);
    assert!(too_full.iter().all(|cell| cell.id.s2_level() == 30));
}

/// The field's rule written the slow way: count the photos of every cell of every S2 level by hashing, then walk down from the top.
fn slow_partition(
    points: &[LatLng],
    t_min: usize,
    t_max: usize,
    start_level: u8,
) -> HashMap<GeocellId, Vec<LatLng>> {
    let mut kept = HashMap::new();
    let mut open: HashSet<GeocellId> = HashSet::new();
    for s2_level in start_level..=30 {
        let mut photos: HashMap<GeocellId, Vec<LatLng>> = HashMap::new();
        for &place in points {
            let cell = GeocellId::containing(place, s2_level).unwrap();
            let from_above = s2_level == start_level || open.contains(&cell.parent(s2_level - 1).unwrap());
            if from_above {
                photos.entry(cell).or_default().push(place);
            }
        }
        open.clear();
        for (cell, photos) in photos {
            if photos.len() > t_max && s2_level < 30 {
                open.insert(cell);
            } else if photos.len() > t_min {
                kept.insert(cell, photos);
            }
        }
        if open.is_empty() {
            break;
        }
    }
    kept
}

#[test]
fn real_coordinates_give_the_fields_partition() {
    let Some(sample) = shared("partition/mp16_sample_100k.csv") else {
        return;
    };
    let coordinates = read_coordinates(sample).unwrap();
    assert_eq!(
        (coordinates.points.len(), coordinates.skipped.len()),
        (100_000, 0)
    );
    let config = PartitionConfig {
        t_max: vec![5000, 1000, 200],
        start_level: 2,
        location: LocationKind::Plain,
        ..PartitionConfig::default()
    };
    let hierarchy = Hierarchy::build(&coordinates.points, &config).unwrap();
    for level in hierarchy.levels() {
        let expected = slow_partition(&coordinates.points, 50, level.t_max() as usize, 2);
        assert_eq!(level.len(), expected.len());
        for cell in level.cells() {
            let photos = &expected[&cell.id];
            assert_eq!(cell.photos, photos.len() as u64);
            let count = photos.len() as f64;
            let latitude = photos.iter().map(|place| place.latitude()).sum::<f64>() / count;
            let longitude = photos.iter().map(|place| place.longitude()).sum::<f64>() / count;
            assert!((cell.location.latitude() - latitude).abs() < 1e-9);
            assert!((cell.location.longitude() - longitude).abs() < 1e-9);
        }
    }
    // A sample of one photo in 47 splits the Earth as the whole does, at thresholds 47 times smaller, wherever counts are not near one.
    let Some(reference) = shared(PARTITIONS[0].0) else {
        return;
    };
    let reference: HashSet<GeocellId> = read_cells(reference)
        .unwrap()
        .cells()
        .iter()
        .map(|cell| cell.id)
        .collect();
    let scaled = PartitionConfig {
        t_min: 1,
        t_max: vec![5000 / 47],
        ..config
    };
    let ours = Hierarchy::build(&coordinates.points, &scaled).unwrap();
    let shared_cells = ours
        .finest()
        .cells()
        .iter()
        .filter(|cell| reference.contains(&cell.id))
        .count();
    assert!(
        shared_cells * 10 > reference.len() * 7,
        "only {shared_cells} of {} cells are shared",
        reference.len()
    );
}

#[test]
fn the_benchmarks_metadata_is_read_whatever_its_column_names() {
    let files = [
        ("im2gps_places365.csv", 237),
        ("im2gps3k_places365.csv", 2997),
        ("yfcc4k.csv", 4536),
    ];
    for (file, rows) in files {
        let Some(path) = shared(&format!("benchmarks/{file}")) else {
            return;
        };
        let coordinates = read_coordinates(path).unwrap();
        assert_eq!((coordinates.rows, coordinates.skipped.len()), (rows, 0), "{file}");
    }
    let Some(path) = shared("benchmarks/gws15k.csv") else {
        return;
    };
    let coordinates = read_coordinates(path).unwrap();
    assert_eq!(coordinates.skipped, []);
    assert!(coordinates.rows > 14_000);
}
