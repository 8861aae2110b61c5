//! Continents of countries, by ISO 3166-1 code.
//!
//! A country that reaches over two continents has one here, as in the United Nations' tables: Russia is in Europe, Turkey
//! and the countries of the Caucasus in Asia, Egypt in Africa, Indonesia in Asia. Overseas territories with a code of
//! their own are where they lie: French Guiana is in South America.

const AFRICA: &str = "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU \
                      MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TF TG TN TZ UG YT ZA ZM ZW";
const ANTARCTICA: &str = "AQ BV GS HM";
const ASIA: &str = "AE AF AM AZ BD BH BN BT CN CY GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY \
                    NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE";
const EUROPE: &str = "AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC \
                      MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK";
const NORTH_AMERICA: &str = "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM \
                             PR SV SX TC TT US VC VG VI";
const OCEANIA: &str = "AS AU CC CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS";
const SOUTH_AMERICA: &str = "AR BO BR CL CO EC FK GF GY PE PY SR UY VE";

/// Continents with the codes of their countries.
pub(crate) const CONTINENTS: [(&str, &str); 7] = [
    ("Africa", AFRICA),
    ("Antarctica", ANTARCTICA),
    ("Asia", ASIA),
    ("Europe", EUROPE),
    ("North America", NORTH_AMERICA),
    ("Oceania", OCEANIA),
    ("South America", SOUTH_AMERICA),
];

/// The continent of a country.
pub(crate) fn of(code: &str) -> Option<&'static str> {
    CONTINENTS
        .iter()
        .find(|(_, codes)| codes.split(' ').any(|other| other == code))
        .map(|(continent, _)| *continent)
}

/// The country of an area that the boundaries give a code which is not its country's: reserved codes of islands and
/// exclaves, and the Crimea, which has the codes of Ukraine in ISO 3166-2 and the boundary of the country that holds it.
pub(crate) fn country_of(area: &str) -> &str {
    match area {
        "UA-40" | "UA-43" => "UA",
        "AC" | "TA" => "SH",
        "CP" => "FR",
        "DG" => "IO",
        "EA" | "IC" => "ES",
        country => country,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use country_boundaries::{BOUNDARIES_ODBL_60X30, BoundingBox, CountryBoundaries};

    use super::*;

    #[test]
    fn every_country_of_the_boundaries_has_one_continent_and_a_name() {
        let boundaries = CountryBoundaries::from_reader(BOUNDARIES_ODBL_60X30).unwrap();
        let world = BoundingBox::new(-89.9, -180.0, 89.9, 179.9).unwrap();
        let areas = boundaries.intersecting_ids(world);
        let countries: HashSet<&str> = areas
            .into_iter()
            .filter(|id| id.len() == 2)
            .map(country_of)
            .collect();
        assert!(countries.len() > 240, "{} countries", countries.len());
        for country in &countries {
            assert!(of(country).is_some(), "{country} has no continent");
            assert!(
                country_emoji::code_to_name(country).is_some(),
                "{country} has no name"
            );
        }
        let listed: Vec<&str> = CONTINENTS
            .iter()
            .flat_map(|(_, codes)| codes.split(' '))
            .collect();
        assert_eq!(
            listed.iter().collect::<HashSet<_>>().len(),
            listed.len(),
            "a code is listed twice"
        );
        for code in listed {
            assert!(
                code == "AQ" || countries.contains(code),
                "{code} is no country of the boundaries"
            );
        }
    }
}
