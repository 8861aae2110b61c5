//! How often names agree with a gazetteer, and how long they take.
//!
//! `cargo run --release -p geosurge -p geosurge-places --example agreement -- CITIES.csv` reads a CSV file with the columns
//! `lat,lon,name,admin1,cc` (degrees; `cc` the ISO 3166-1 code), such as one made from GeoNames, and prints how many rows
//! get the country that the file says by boundaries and by the nearest settlement alone, all rows and rows near a border.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example")]

use std::collections::BTreeMap;
use std::time::Instant;

use geocells::LatLng;
use geosurge_places::PlaceNamer;
use reverse_geocoder::ReverseGeocoder;

#[derive(Default)]
struct Tally {
    rows: usize,
    boundaries: usize,
    nearest: usize,
    region: usize,
}

fn main() {
    let path = std::env::args().nth(1).expect("a CSV file of cities");
    let started = Instant::now();
    let namer = PlaceNamer::shared();
    println!("loaded in {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let settlements = ReverseGeocoder::new();

    let mut rows: Vec<(LatLng, String, String)> = Vec::new();
    for row in csv::Reader::from_path(path).unwrap().records() {
        let row = row.unwrap();
        let place = LatLng::new(row[0].parse().unwrap(), row[1].parse().unwrap()).unwrap();
        rows.push((place, row[3].to_owned(), row[4].to_owned()));
    }
    let started = Instant::now();
    let names: Vec<_> = rows.iter().map(|(place, ..)| namer.name(*place)).collect();
    let each = started.elapsed().as_secs_f64() * 1e6 / rows.len() as f64;
    println!("{} places, {each:.2} µs each", rows.len());

    let (mut all, mut border, mut fresh) = (Tally::default(), Tally::default(), Tally::default());
    let mut confused: BTreeMap<(String, String), usize> = BTreeMap::new();
    for ((place, region, code), name) in rows.iter().zip(&names) {
        let nearest = settlements.search((place.latitude(), place.longitude())).record;
        let found = name.as_ref().map_or("-", |name| &name.country_code);
        let named = name.as_ref().and_then(|name| name.region.as_deref()) == Some(region);
        // Rows that the gazetteer of the program lacks: only they say how good its neighbours are.
        let unknown = LatLng::new(nearest.lat, nearest.lon)
            .unwrap()
            .distance(*place)
            .get()
            > 0.5;
        let count = |tally: &mut Tally| {
            tally.rows += 1;
            tally.boundaries += usize::from(found == code);
            tally.nearest += usize::from(nearest.cc == *code);
            tally.region += usize::from(named);
        };
        count(&mut all);
        if unknown {
            count(&mut fresh);
            let step = 5.0 / 111.2;
            let around = [(step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)];
            let near_border = around.iter().any(|(north, east)| {
                let place = LatLng::new(place.latitude() + north, place.longitude() + east);
                place.is_ok_and(|place| {
                    settlements
                        .search((place.latitude(), place.longitude()))
                        .record
                        .cc
                        != *code
                })
            });
            if near_border {
                count(&mut border);
            }
        }
        if found != code {
            *confused.entry((code.clone(), found.to_owned())).or_default() += 1;
        }
    }
    for (what, tally) in [
        ("all", all),
        ("not in the gazetteer", fresh),
        ("of these, near a border", border),
    ] {
        let share = |count: usize| 100.0 * count as f64 / tally.rows as f64;
        println!(
            "{what}: {} places; country by boundaries {:.2} %, by nearest settlement {:.2} %; region {:.2} %",
            tally.rows,
            share(tally.boundaries),
            share(tally.nearest),
            share(tally.region)
        );
    }
    let mut confused: Vec<_> = confused.into_iter().collect();
    confused.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for ((code, found), count) in confused.into_iter().take(12) {
        println!("{count} places of {code} named {found}");
    }
}
