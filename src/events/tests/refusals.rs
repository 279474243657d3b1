//! Files that are not there, not event files, or broken.

use super::*;
use crate::error::Result;

#[test]
fn files_are_found_once_and_sorted() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path();
    std::fs::create_dir(base.join("sub.parquet")).unwrap();
    for name in ["b.parquet", "a[1].parquet"] {
        write(&base.join(name), Form::ParquetSnappy, &[batch(0, 10)]);
    }
    let names = |patterns: &[&str]| {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Dataset::open(&patterns, base).map(|dataset| dataset.files().count())
    };
    assert_eq!(names(&["*.parquet"]).unwrap(), 2);
    let again = ["*.parquet", "b.parquet", "./b.parquet", "a[1].parquet"];
    assert_eq!(names(&again).unwrap(), 2);
    let error = |patterns: &[&str]| names(patterns).unwrap_err().to_string();
    assert!(error(&["nothing*"]).contains("no file matches `nothing*`"));
    assert!(error(&["c.parquet"]).ends_with("c.parquet: no such file"));
    assert!(error(&["a[.parquet"]).contains("not a valid file pattern"));
    assert!(error(&["sub.parquet"]).contains("*.parquet"));
    assert!(error(&[]).contains("no file is named"));
}

#[test]
fn what_is_no_event_file_is_named() {
    let (_directory, path) = folder();
    let table: &[(&[u8], &str)] = &[
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "CSV"),
        (
            b"root\0\0\xf7\x01aaaaaaa",
            "list of objects: the description ends",
        ),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x01\x02\x03", "it starts with \"\\x01\\x02\\x03\": an"),
        (b"\x01\x02\x03", "an unknown format"),
        (b"PAR1", "footer"),
        (b"PAR1aaaaaaaaaaaaaaaaaaaa", "footer"),
        (b"ARROW1\0\0", "too short"),
        (b"ARROW1\0\0aaaaaaaaaaa", "does not end with ARROW1"),
        (b"ARROW1\0\0\xff\xff\xff\x7fARROW1", "longer than the file"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f", "ends early"),
    ];
    for (content, message) in table {
        std::fs::write(&path, content).unwrap();
        assert!(refused(&path).contains(message), "{}", refused(&path));
    }
}

#[test]
fn empty_and_contradictory_schemas() {
    let (_directory, path) = folder();
    for form in FORMS {
        write(&path, form, &[batch(0, 0)]);
        assert!(refused(&path).contains("no rows in"), "{form:?}");
    }
    let twice = batch_of(&["x", "x"].map(|name| (name, floats(&[1.0]))));
    for form in [Form::ParquetSnappy, Form::IpcFile] {
        write(&path, form, std::slice::from_ref(&twice));
        assert!(refused(&path).contains("two columns are called `x`"));
    }
}

#[test]
fn too_many_regions_are_refused() {
    let (_directory, dataset) = written(Form::ParquetSnappy, &[batch(0, 10)]);
    let request = ScanRequest {
        flags: named(&resolver(&dataset), &["x"; 65]),
        ..ScanRequest::new(Hidden::nothing())
    };
    let error = dataset.scan(&request, None).unwrap_err();
    assert_eq!(error.to_string(), "65 regions, at most 61 are possible");
}

/// Opens and reads everything; errors are fine, panics and aborts are not.
fn try_everything(path: &Path) -> Result<()> {
    let dataset = Dataset::open(&[path.display().to_string()], Path::new("/"))?;
    summarise(&dataset)?;
    let resolver = Resolver::new(dataset.columns(), [])?;
    let request = ScanRequest {
        features: vec![("x".to_owned(), resolver.compile("x + coded")?)],
        columns: vec![("list".to_owned(), resolver.compile("max(list)")?)],
        id: IdSpec::Columns(vec!["id".into()]),
        on_missing: OnMissing::Drop,
        ..ScanRequest::new(Hidden::nothing())
    };
    dataset.scan(&request, None).map(drop)
}

#[test]
fn truncated_files_are_errors() {
    let (_directory, path) = folder();
    for form in FORMS {
        write(&path, form, &[batch(0, 300), batch(300, 50)]);
        let whole = std::fs::read(&path).unwrap();
        try_everything(&path).unwrap();
        for length in (0..whole.len() - 8).step_by(whole.len() / 40) {
            std::fs::write(&path, &whole[..length]).unwrap();
            // A stream may end at the end of any message.
            let may_end = matches!(form, Form::IpcStream | Form::IpcStreamZstd);
            let is_error = try_everything(&path).is_err();
            assert!(is_error || may_end, "{form:?} {length}");
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let (_directory, path) = folder();
    let mut state = 11_u64;
    let mut random = |n: usize| {
        let product = state.wrapping_mul(6364136223846793005);
        state = product.wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    for form in FORMS {
        write(&path, form, &[batch(0, 300), batch(300, 50)]);
        let whole = std::fs::read(&path).unwrap();
        for round in 0..150 {
            let mut broken = whole.clone();
            for _ in 0..1 + random(4) {
                // Half of the flips go where the metadata is.
                let near_end = if round % 2 == 0 { 4000 } else { usize::MAX };
                let place = whole.len() - 1 - random(near_end.min(whole.len()));
                broken[place] = [0, 0xff, 0x7f, 0x80, random(256) as u8][random(5)];
            }
            std::fs::write(&path, &broken).unwrap();
            let _ = try_everything(&path);
        }
    }
}
