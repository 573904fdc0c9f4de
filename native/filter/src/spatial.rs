//! Predicates on geometries: the topological relations of OGC 06-103r4, clause 6.1.15, and distance on the earth.

use elanus_rows::geometry::{self, Bounds, WkbReader};
use geo::{Coord, Geometry, GeometryCollection, Line, LineString, Point, Polygon, Relate, Validation};

/// Mean radius of the earth in metres.
const EARTH_RADIUS: f64 = 6_371_008.8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relationship {
    Equals,
    Touches,
    Overlaps,
    Crosses,
    Contains,
    Intersects,
    Within,
}

impl Relationship {
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Equals,
            Self::Touches,
            Self::Overlaps,
            Self::Crosses,
            Self::Contains,
            Self::Intersects,
            Self::Within,
        ];
        all.get(usize::from(number)).copied()
    }
}

/// A test of one geometry, which stands on the left.
#[derive(Debug)]
pub(crate) enum SpatialTest {
    Relation {
        relationship: Relationship,
        constant: Geometry,
        bounds: Option<Bounds>,
    },
    /// At most so many metres from a point of longitude and latitude.
    Near {
        centre: [f64; 2],
        metres: f64,
        bounds: Bounds,
    },
    Valid,
}

impl SpatialTest {
    /// `None` when the bytes are no geometry.
    pub fn relation(relationship: Relationship, wkb: &[u8]) -> Option<Self> {
        Some(Self::Relation { relationship, constant: read(wkb)?, bounds: geometry::bounds(wkb) })
    }

    /// `None` when the bytes are no point.
    pub fn near(wkb: &[u8], metres: f64) -> Option<Self> {
        match read(wkb)? {
            Geometry::Point(point) => {
                let centre = [point.x(), point.y()];
                Some(Self::Near { centre, metres, bounds: reach(centre, metres) })
            }
            _ => None,
        }
    }

    /// A rectangle that every geometry for which the test is true meets; `None`: any geometry may pass.
    pub fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Relation { bounds, .. } => *bounds,
            Self::Near { bounds, .. } => Some(*bounds),
            Self::Valid => None,
        }
    }

    pub fn matches(&self, wkb: &[u8]) -> bool {
        match self {
            Self::Relation { relationship, constant, bounds } => match (geometry::bounds(wkb), bounds) {
                (Some(own), Some(bounds)) if own.meets(bounds) => {
                    read(wkb).is_some_and(|own| holds(*relationship, &own, constant))
                }
                // Nothing is in no relation to anything, but equal to nothing.
                (None, None) => *relationship == Relationship::Equals,
                _ => false,
            },
            Self::Near { centre, metres, bounds } => {
                geometry::bounds(wkb).is_some_and(|own| own.meets(bounds))
                    && read(wkb).is_some_and(|own| distance(*centre, &own) <= *metres)
            }
            Self::Valid => read(wkb).is_some_and(|own| own.is_valid()),
        }
    }
}

fn holds(relationship: Relationship, own: &Geometry, constant: &Geometry) -> bool {
    let matrix = own.relate(constant);
    match relationship {
        Relationship::Equals => matrix.is_equal_topo(),
        Relationship::Touches => matrix.is_touches(),
        Relationship::Overlaps => matrix.is_overlaps(),
        Relationship::Crosses => matrix.is_crosses(),
        Relationship::Contains => matrix.is_contains(),
        Relationship::Intersects => matrix.is_intersects(),
        Relationship::Within => matrix.is_within(),
    }
}

/// A rectangle around everything within a distance. Near a pole or the date line it goes round the earth.
fn reach([x, y]: [f64; 2], metres: f64) -> Bounds {
    let height = (metres / EARTH_RADIUS).to_degrees() * 1.001;
    let (low, high) = (y - height, y + height);
    let narrowest = low.abs().max(high.abs()).to_radians().cos();
    let width = if low <= -90.0 || high >= 90.0 { f64::INFINITY } else { height / narrowest };
    if x - width < -180.0 || x + width > 180.0 {
        return Bounds { min: [f64::NEG_INFINITY, low], max: [f64::INFINITY, high] };
    }
    Bounds { min: [x - width, low], max: [x + width, high] }
}

/// Metres between a point and the nearest point of a geometry. Which one is nearest is found on a plane that touches
/// the earth at the point.
fn distance(centre: [f64; 2], geometry: &Geometry) -> f64 {
    match geometry {
        Geometry::Point(point) => haversine(centre, [point.x(), point.y()]),
        Geometry::MultiPoint(points) => nearest(points.iter().map(|point| haversine(centre, [point.x(), point.y()]))),
        Geometry::LineString(line) => along(centre, line),
        Geometry::MultiLineString(lines) => nearest(lines.iter().map(|line| along(centre, line))),
        Geometry::Polygon(polygon) => around(centre, polygon),
        Geometry::MultiPolygon(polygons) => nearest(polygons.iter().map(|polygon| around(centre, polygon))),
        Geometry::GeometryCollection(parts) => nearest(parts.iter().map(|part| distance(centre, part))),
        _ => f64::INFINITY,
    }
}

fn nearest(distances: impl Iterator<Item = f64>) -> f64 {
    distances.fold(f64::INFINITY, f64::min)
}

fn around(centre: [f64; 2], polygon: &Polygon) -> f64 {
    let point: Geometry = Point::new(centre[0], centre[1]).into();
    if holds(Relationship::Intersects, &point, &polygon.clone().into()) {
        return 0.0;
    }
    let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
    nearest(rings.map(|ring| along(centre, ring)))
}

fn along(centre: [f64; 2], line: &LineString) -> f64 {
    nearest(line.lines().map(|Line { start, end }| haversine(centre, nearest_point(centre, start, end))))
}

fn nearest_point(centre: [f64; 2], start: Coord, end: Coord) -> [f64; 2] {
    let shrink = centre[1].to_radians().cos();
    let planar = |place: Coord| [(place.x - centre[0]) * shrink, place.y - centre[1]];
    let (from, to) = (planar(start), planar(end));
    let step = [to[0] - from[0], to[1] - from[1]];
    let square = step[0] * step[0] + step[1] * step[1];
    let share = if square == 0.0 { 0.0 } else { (-(from[0] * step[0] + from[1] * step[1]) / square).clamp(0.0, 1.0) };
    [start.x + share * (end.x - start.x), start.y + share * (end.y - start.y)]
}

/// Metres along a great circle between two points of longitude and latitude.
fn haversine(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [height, width] = [b[1] - a[1], b[0] - a[0]].map(|degrees| (degrees.to_radians() / 2.0).sin().powi(2));
    let chord = height + a[1].to_radians().cos() * b[1].to_radians().cos() * width;
    2.0 * EARTH_RADIUS * chord.sqrt().min(1.0).asin()
}

/// `None` when the bytes are no geometry.
fn read(wkb: &[u8]) -> Option<Geometry> {
    let mut reader = WkbReader::new(wkb);
    let geometry = read_part(&mut reader, 0)?;
    reader.is_at_end().then_some(geometry)
}

fn read_part(reader: &mut WkbReader<'_>, depth: usize) -> Option<Geometry> {
    let kind = reader.kind(depth)?;
    Some(match kind {
        1 => {
            let [x, y] = reader.point()?;
            let empty = || Geometry::GeometryCollection(GeometryCollection::empty());
            if x.is_nan() { empty() } else { Point::new(x, y).into() }
        }
        2 => read_line(reader)?.into(),
        3 => read_polygon(reader)?.into(),
        _ => {
            let parts = (0..reader.count()?).map(|_| read_part(reader, depth + 1)).collect::<Option<Vec<_>>>()?;
            match kind {
                4 => Geometry::MultiPoint(parts.into_iter().filter_map(|part| Point::try_from(part).ok()).collect()),
                5 => Geometry::MultiLineString(
                    parts.into_iter().filter_map(|part| LineString::try_from(part).ok()).collect(),
                ),
                6 => {
                    Geometry::MultiPolygon(parts.into_iter().filter_map(|part| Polygon::try_from(part).ok()).collect())
                }
                _ => Geometry::GeometryCollection(parts.into_iter().collect()),
            }
        }
    })
}

fn read_line(reader: &mut WkbReader<'_>) -> Option<LineString> {
    (0..reader.count()?).map(|_| reader.point().map(|[x, y]| Coord { x, y })).collect()
}

fn read_polygon(reader: &mut WkbReader<'_>) -> Option<Polygon> {
    let mut rings = (0..reader.count()?).map(|_| read_line(reader)).collect::<Option<Vec<_>>>()?.into_iter();
    let exterior = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
    Some(Polygon::new(exterior, rings.collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wkb(text: &str) -> Vec<u8> {
        geometry::to_wkb(text).expect(text)
    }

    /// Which relations hold, as the initials of Equals, Touches, oVerlaps, Crosses, cOntains, Intersects, Within.
    fn relations(own: &str, constant: &str) -> String {
        let test = |number| {
            let relationship = Relationship::from_number(number).expect("a relation");
            SpatialTest::relation(relationship, &wkb(constant)).expect("a geometry").matches(&wkb(own))
        };
        "ETVCOIW".chars().zip(0..7).filter(|&(_, number)| test(number)).map(|(letter, _)| letter).collect()
    }

    #[test]
    fn relations_are_those_of_the_standard() {
        let square = "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))";
        for (own, constant, expected) in [
            ("POINT (1 1)", square, "IW"),
            ("POINT (0 1)", square, "TI"),
            ("POINT (5 5)", square, ""),
            (square, "POINT (1 1)", "OI"),
            ("POINT (1 1)", "POINT (1 1)", "EOIW"),
            ("LINESTRING (-1 1, 5 1)", square, "CI"),
            ("LINESTRING (1 1, 2 2)", square, "IW"),
            ("LINESTRING (4 0, 6 0)", square, "TI"),
            ("LINESTRING (0 0, 2 2)", "LINESTRING (0 2, 2 0)", "CI"),
            ("LINESTRING (0 0, 2 0)", "LINESTRING (1 0, 3 0)", "VI"),
            ("LINESTRING (0 0, 2 0)", "LINESTRING (2 0, 0 0)", "EOIW"),
            ("POLYGON ((4 0, 4 4, 0 4, 0 0, 4 0))", square, "EOIW"),
            ("POLYGON ((2 2, 6 2, 6 6, 2 6, 2 2))", square, "VI"),
            ("POLYGON ((4 0, 8 0, 8 4, 4 4, 4 0))", square, "TI"),
            ("POLYGON ((1 1, 2 1, 2 2, 1 1))", square, "IW"),
            (square, "POLYGON ((1 1, 2 1, 2 2, 1 1))", "OI"),
            ("POINT (2 2)", "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 3 1, 3 3, 1 3, 1 1))", ""),
            ("MULTIPOINT ((1 1), (9 9))", square, "CI"),
            ("MULTIPOLYGON (((0 0, 4 0, 4 4, 0 4, 0 0)))", square, "EOIW"),
            ("GEOMETRYCOLLECTION (POINT (1 1), POINT (2 2))", square, "IW"),
            ("POINT EMPTY", square, ""),
            ("POINT EMPTY", "LINESTRING EMPTY", "E"),
        ] {
            assert_eq!(relations(own, constant), expected, "{own} and {constant}");
        }
    }

    #[test]
    fn distances_are_metres_on_the_earth() {
        let within = |own: &str, metres: f64| {
            SpatialTest::near(&wkb("POINT (13.4 52.5)"), metres).expect("a point").matches(&wkb(own))
        };
        // One degree of latitude is 111 195 m; of longitude at 52.5° 67 691 m.
        assert!(within("POINT (13.4 53.5)", 111_300.0) && !within("POINT (13.4 53.5)", 111_100.0));
        assert!(within("POINT (14.4 52.5)", 67_800.0) && !within("POINT (14.4 52.5)", 67_500.0));
        assert!(within("POINT (13.4 52.5)", 0.0));
        let street = "LINESTRING (13.3 52.51, 13.5 52.51)";
        assert!(within(street, 1_120.0) && !within(street, 1_100.0));
        let park = "POLYGON ((13.3 52.4, 13.5 52.4, 13.5 52.6, 13.3 52.6, 13.3 52.4))";
        assert!(within(park, 0.0));
        assert!(within("MULTIPOINT ((0 0), (13.4 52.5))", 1.0));
        let date_line = SpatialTest::near(&wkb("POINT (179.9 0)"), 30_000.0).expect("a point");
        assert!(date_line.matches(&wkb("POINT (-179.9 0)")));
        assert!(SpatialTest::near(&wkb(street), 1.0).is_none());
    }

    #[test]
    fn validity_is_that_of_the_standard() {
        let valid = |own: &str| SpatialTest::Valid.matches(&wkb(own));
        assert!(valid("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))") && valid("POINT (1 1)"));
        assert!(!valid("POLYGON ((0 0, 4 4, 4 0, 0 4, 0 0))"));
    }

    /// Points that often lie on each other's lines, and such as overflow what is reckoned with them.
    fn place() -> impl Strategy<Value = String> {
        let number = || {
            let extreme =
                prop::sample::select(vec!["1e308", "-1.7e308", "1e200", "1e-300", "0.1", "0.30000000000000004"]);
            prop_oneof![9 => (-2i32..3).prop_map(|number| number.to_string()), 1 => extreme.prop_map(str::to_owned)]
        };
        (number(), number()).prop_map(|(x, y)| format!("{x} {y}"))
    }

    fn geometry_text() -> impl Strategy<Value = String> {
        let ring = || {
            prop::collection::vec(place(), 3..6).prop_map(|places| format!("({}, {})", places.join(", "), places[0]))
        };
        let rings = || prop::collection::vec(ring(), 1..3).prop_map(|rings| format!("({})", rings.join(", ")));
        let list =
            |least| prop::collection::vec(place(), least..6).prop_map(|places| format!("({})", places.join(", ")));
        let one = prop_oneof![
            place().prop_map(|place| format!("POINT ({place})")),
            list(2).prop_map(|line| format!("LINESTRING {line}")),
            rings().prop_map(|rings| format!("POLYGON {rings}")),
            list(1).prop_map(|points| format!("MULTIPOINT {points}")),
            prop::collection::vec(list(2), 1..3).prop_map(|lines| format!("MULTILINESTRING ({})", lines.join(", "))),
            prop::collection::vec(rings(), 1..3).prop_map(|parts| format!("MULTIPOLYGON ({})", parts.join(", "))),
        ];
        prop::collection::vec(one, 1..3).prop_map(|mut parts| match parts.len() {
            1 => parts.remove(0),
            _ => format!("GEOMETRYCOLLECTION ({})", parts.join(", ")),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn no_geometry_makes_a_test_panic(own in geometry_text(), constant in geometry_text(), metres in 0f64..1e8) {
            let (own, constant) = (wkb(&own), wkb(&constant));
            for number in 0..7 {
                let relationship = Relationship::from_number(number).expect("a relation");
                SpatialTest::relation(relationship, &constant).expect("a geometry").matches(&own);
            }
            SpatialTest::near(&wkb("POINT (1 1)"), metres).expect("a point").matches(&own);
            SpatialTest::Valid.matches(&own);
        }
    }
}
