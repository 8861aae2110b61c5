//! Checkpoints: written whole, opened verified, refused with a reason; and the encoder that reads them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use geocells::{Hierarchy, LatLng, PartitionConfig};
use geosurge_models::{
    Calibration, Checkpoint, CheckpointContents, CompactConfig, CompactSegmenter, Crops, Device, Encoder,
    Error, Model, ModelConfig, Parameters, PathEmbeddings, Precomputed, Provenance, SegmenterChoice,
};
use image::{GrayImage, Luma, Rgb, RgbImage};

fn config() -> ModelConfig {
    let mut config = ModelConfig::demo();
    config.image_size = 16;
    config.vision.width = 16;
    config.vision.layers = 1;
    config.vision.trainable_blocks = 1;
    config.vision.intermediate = 16;
    config.fusion.segmentation_width = 8;
    config.fusion.latent = 4;
    config.fusion.intermediate = 16;
    config.embedding = 8;
    config
}

fn compact() -> CompactConfig {
    let mut config = CompactConfig::for_classes([2, 6, 2, 255]);
    config.side = 16;
    config.width = 8;
    config.heads = 2;
    config.layers = 1;
    config.intermediate = 8;
    config.features = 8;
    config
}

fn hierarchy() -> Hierarchy {
    let points: Vec<LatLng> = (0..400)
        .map(|i| {
            let spread = f64::from(i % 20) * 0.3;
            LatLng::new(
                f64::from(i / 100) * 30.0 - 40.0 + spread,
                f64::from(i % 7) * 20.0 - spread,
            )
            .unwrap()
        })
        .collect();
    let config = PartitionConfig {
        t_min: 3,
        t_max: vec![100, 40],
        ..PartitionConfig::default()
    };
    Hierarchy::build(&points, &config).unwrap()
}

fn parameters(hierarchy: &Hierarchy) -> Parameters {
    let cells: Vec<usize> = hierarchy.levels().iter().map(geocells::Partition::len).collect();
    Parameters::initialise(Model::specs(&config(), &cells), 5, &Device::Cpu).unwrap()
}

fn write(directory: &Path, parameters: &Parameters, hierarchy: &Hierarchy) -> Result<Checkpoint, Error> {
    let segmenter = Parameters::initialise(CompactSegmenter::specs(&compact()), 6, &Device::Cpu).unwrap();
    let calibration = Calibration {
        scale: 0.5,
        ..Calibration::default()
    };
    let mut provenance = Provenance::new("2026-01-01T00:00:00Z", 5);
    provenance.metrics.insert("within_25_km".to_owned(), 0.25);
    Checkpoint::write(
        directory,
        CheckpointContents {
            config: &config(),
            parameters,
            segmenter: Some((&compact(), &segmenter)),
            hierarchy,
            calibration: &calibration,
            provenance: &provenance,
        },
    )
}

fn photos() -> Vec<RgbImage> {
    (0..3)
        .map(|k| RgbImage::from_fn(30, 24, |x, y| Rgb([(x * 8) as u8, (y * 9) as u8, 70 * k])))
        .collect()
}

#[test]
fn a_checkpoint_survives_and_its_encoder_answers() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("runs/checkpoint");
    let hierarchy = hierarchy();
    let parameters = parameters(&hierarchy);
    let written = write(&place, &parameters, &hierarchy).unwrap();
    let opened = Checkpoint::open(&place).unwrap();
    assert_eq!(written.id(), opened.id());
    assert_eq!(opened.config(), &config());
    assert_eq!(opened.calibration().scale, 0.5);
    assert_eq!(opened.provenance().metrics["within_25_km"], 0.25);
    assert_eq!(opened.cells().len(), 2);
    // The same contents elsewhere have the same id; writing again replaces; nothing temporary stays.
    let again = write(&folder.path().join("runs/other"), &parameters, &hierarchy).unwrap();
    assert_eq!(again.id(), opened.id());
    write(&place, &parameters, &hierarchy).unwrap();
    assert_eq!(fs_err::read_dir(folder.path().join("runs")).unwrap().count(), 2);

    let encoder = Encoder::open(&opened, &Device::Cpu, SegmenterChoice::Own).unwrap();
    assert_eq!((encoder.segmenter_name(), encoder.dimension()), ("compact", 8));
    let all = encoder.encode(&photos()).unwrap();
    assert_eq!(all.len(), 3);
    for (index, encoded) in all.iter().enumerate() {
        let length: f32 = encoded.embedding.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        let map = encoded.segmentation.as_ref().unwrap();
        assert!(map.dimensions() == (16, 16) && map.as_raw().iter().all(|id| [2, 6].contains(id)));
        let alone = encoder.encode(&photos()[index..=index]).unwrap();
        let apart = alone[0]
            .embedding
            .iter()
            .zip(&encoded.embedding)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            apart < 1e-5,
            "a photo's embedding does not depend on its batch: {apart}"
        );
    }
    assert!(encoder.encode(&[]).unwrap().is_empty());
    assert!(encoder.encode(&[RgbImage::new(0, 4)]).is_err());
}

#[test]
fn ten_crops_are_the_mean_of_ten_single_ones() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("checkpoint");
    let hierarchy = hierarchy();
    let checkpoint = write(&place, &parameters(&hierarchy), &hierarchy).unwrap();
    for segmenter in [SegmenterChoice::Own, SegmenterChoice::None] {
        let encoder = Encoder::open(&checkpoint, &Device::Cpu, segmenter).unwrap();
        let ten = encoder.encode_crops(&photos(), Crops::Ten).unwrap();
        assert_eq!(ten.len(), 3);
        for (photo, ten) in photos().iter().zip(&ten) {
            // Each view has the model's size, so that encoding it alone crops nothing further.
            let views = encoder.preprocessor().ten_crop(photo).unwrap();
            let mut mean = vec![0.0; encoder.dimension()];
            let mut centre = None;
            for (index, view) in views.iter().enumerate() {
                let single = encoder.encode(std::slice::from_ref(view)).unwrap().remove(0);
                mean.iter_mut()
                    .zip(&single.embedding)
                    .for_each(|(sum, x)| *sum += x / 10.0);
                if index == 4 {
                    centre = single.segmentation;
                }
            }
            let length = mean.iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
            for (by_hand, found) in mean.iter().zip(&ten.embedding) {
                assert!(
                    (by_hand / length - found).abs() < 1e-5,
                    "{mean:?} {:?}",
                    ten.embedding
                );
            }
            assert_eq!(ten.segmentation, centre);
        }
        let one = encoder.encode(&photos()).unwrap();
        assert_ne!(one[0].embedding, ten[0].embedding);
    }
    // Maps of the whole photo are cut as the photo is.
    let map =
        |photo: &RgbImage| GrayImage::from_fn(photo.width(), photo.height(), |x, _| Luma([(x / 3) as u8]));
    let mut known = Precomputed::new();
    for photo in photos() {
        known.insert(&photo, map(&photo)).unwrap();
    }
    let choice = SegmenterChoice::Custom(std::sync::Arc::new(known));
    let encoder = Encoder::open(&checkpoint, &Device::Cpu, choice).unwrap();
    let ten = encoder
        .encode_crops(&photos()[..1], Crops::Ten)
        .unwrap()
        .remove(0);
    let views = encoder.preprocessor().ten_crop(&photos()[0]).unwrap();
    let maps = encoder
        .preprocessor()
        .ten_crop_labels(&map(&photos()[0]))
        .unwrap();
    assert_eq!(ten.segmentation.as_ref(), Some(&maps[4]));
    let maps: Vec<_> = maps.into_iter().map(Some).collect();
    let mut mean = vec![0.0; encoder.dimension()];
    for single in encoder.encode_with_maps(&views, &maps).unwrap() {
        mean.iter_mut()
            .zip(&single.embedding)
            .for_each(|(sum, x)| *sum += x);
    }
    let length = mean.iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
    for (by_hand, found) in mean.iter().zip(&ten.embedding) {
        assert!((by_hand / length - found).abs() < 1e-5);
    }
}

#[test]
fn other_segmenters_can_be_chosen_and_change_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let hierarchy = hierarchy();
    let checkpoint = write(&folder.path().join("c"), &parameters(&hierarchy), &hierarchy).unwrap();
    let open = |choice| Encoder::open(&checkpoint, &Device::Cpu, choice).unwrap();
    let photos = photos();
    let without = open(SegmenterChoice::None).encode(&photos).unwrap();
    assert!(without.iter().all(|encoded| encoded.segmentation.is_none()));
    let map = GrayImage::from_fn(30, 24, |x, _| Luma([(x / 8) as u8]));
    let mut known = Precomputed::new();
    known.insert(&photos[1], map.clone()).unwrap();
    let custom = open(SegmenterChoice::Custom(std::sync::Arc::new(known)))
        .encode(&photos)
        .unwrap();
    assert_eq!(
        custom[0].embedding, without[0].embedding,
        "a photo without a map counts as unlabelled"
    );
    assert_ne!(custom[1].embedding, without[1].embedding, "the map takes part");
    let given = open(SegmenterChoice::None)
        .encode_with_maps(&photos, &[None, Some(map), None])
        .unwrap();
    assert_eq!(given[1].embedding, custom[1].embedding);
}

#[test]
fn path_embeddings_are_the_product_over_levels() {
    let hierarchy = hierarchy();
    let parameters = parameters(&hierarchy);
    let model = Model::new(&config(), hierarchy.depth(), &parameters).unwrap();
    let paths = PathEmbeddings::new(&model.geographic, &hierarchy).unwrap();
    let tables = model.geographic.tables().unwrap();
    let query: Vec<f32> = (0..8).map(|i| (i as f32).cos()).collect();
    let dot = |a: &[f32]| -> f64 { a.iter().zip(&query).map(|(a, b)| f64::from(a * b)).sum() };
    let softmax_logarithm = |level: usize, cell: usize| {
        let temperature = model.geographic.temperature(level).unwrap();
        let logits: Vec<f64> = tables[level]
            .chunks_exact(8)
            .map(|row| dot(row) / temperature)
            .collect();
        logits[cell] - logits.iter().map(|x| x.exp()).sum::<f64>().ln()
    };
    let mut offsets = Vec::new();
    for cell in 0..hierarchy.finest().len() {
        let path = hierarchy.path(cell);
        let product: f64 = path
            .iter()
            .enumerate()
            .map(|(level, &cell)| softmax_logarithm(level, cell))
            .sum();
        offsets.push(product - dot(paths.row(hierarchy.depth() - 1, cell)));
    }
    assert!(offsets.len() > 5);
    for offset in &offsets {
        assert!(
            (offset - offsets[0]).abs() < 1e-3,
            "the difference is one constant of the query: {offsets:?}"
        );
    }
}

/// Opens a copy of a checkpoint after `spoil` changed it, and returns the error's text.
fn spoiled(spoil: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("checkpoint");
    let hierarchy = hierarchy();
    write(&place, &parameters(&hierarchy), &hierarchy).unwrap();
    spoil(&place);
    Checkpoint::open(&place).unwrap_err().to_string()
}

#[test]
fn damaged_checkpoints_are_refused_by_name() {
    let truncate = |place: &Path| {
        let file = place.join("model.safetensors");
        let bytes = fs_err::read(&file).unwrap();
        fs_err::write(file, &bytes[..bytes.len() / 2]).unwrap();
    };
    assert!(spoiled(truncate).contains("model.safetensors is not what was written"));
    let remove = |name: &'static str| move |place: &Path| fs_err::remove_file(place.join(name)).unwrap();
    assert!(spoiled(remove("segmenter.safetensors")).contains("segmenter.safetensors is missing"));
    assert!(spoiled(remove("checksums.json")).contains("checksums.json is missing"));
    assert!(spoiled(remove("provenance.json")).contains("not a checkpoint"));
    let newer = |place: &Path| {
        let file = place.join("provenance.json");
        let text = fs_err::read_to_string(&file).unwrap();
        fs_err::write(
            file,
            text.replace("\"format_version\": 2", "\"format_version\": 99"),
        )
        .unwrap();
    };
    assert!(spoiled(newer).contains("format version 99"));
}

#[test]
fn parameters_that_do_not_fit_are_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let hierarchy = hierarchy();
    let cells: Vec<usize> = hierarchy.levels().iter().map(geocells::Partition::len).collect();
    let refuse = |specs| {
        let parameters = Parameters::initialise(specs, 1, &Device::Cpu).unwrap();
        let place = folder.path().join("checkpoint");
        let message = write(&place, &parameters, &hierarchy).unwrap_err().to_string();
        assert!(!place.exists());
        assert_eq!(
            fs_err::read_dir(folder.path()).unwrap().count(),
            0,
            "nothing half-written"
        );
        message
    };
    let mut specs = Model::specs(&config(), &cells);
    specs.retain(|spec| spec.name != "fusion.map.palette");
    let message = refuse(specs);
    assert!(
        message.contains("'fusion.map.palette' is missing") && message.contains("model.safetensors"),
        "{message}"
    );
    let message = refuse(Model::specs(&config(), &[cells[0] + 1, cells[1]]));
    assert!(
        message.contains("geographic.0.table") && message.contains("shape"),
        "{message}"
    );

    let occupied = folder.path().join("notes");
    fs_err::create_dir(&occupied).unwrap();
    fs_err::write(occupied.join("diary.txt"), "mine").unwrap();
    let message = write(&occupied, &parameters(&hierarchy), &hierarchy)
        .unwrap_err()
        .to_string();
    assert!(message.contains("is not a checkpoint"), "{message}");
    assert!(occupied.join("diary.txt").is_file());
}

/// `GEOSURGE_WRITE_FIXTURES=1` writes the fixture anew, for a new format beside the old one.
#[test]
fn the_first_format_still_opens() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint-v1");
    let answers = place.with_file_name("checkpoint-v1.embeddings.json");
    let encode = || {
        let checkpoint = Checkpoint::open(&place).unwrap();
        let encoder = Encoder::open(&checkpoint, &Device::Cpu, SegmenterChoice::Own).unwrap();
        let encoded = encoder.encode(&photos()).unwrap();
        encoded
            .into_iter()
            .map(|encoded| encoded.embedding)
            .collect::<Vec<_>>()
    };
    if std::env::var_os("GEOSURGE_WRITE_FIXTURES").is_some() {
        let hierarchy = hierarchy();
        write(&place, &parameters(&hierarchy), &hierarchy).unwrap();
        fs_err::write(&answers, serde_json::to_vec(&encode()).unwrap()).unwrap();
    }
    let expected: Vec<Vec<f32>> = serde_json::from_slice(&fs_err::read(answers).unwrap()).unwrap();
    let found = encode();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }
}
