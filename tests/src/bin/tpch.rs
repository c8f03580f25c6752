//! Writes one TPC-H table as text that Postgres' COPY reads with `DELIMITER '|'`: `tpch TABLE SCALE`.

use std::fmt::{Display, Write as _};
use std::io::{BufWriter, Write};

use anyhow::{Context, Result, bail};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (table, scale) = args.next().zip(args.next()).context("usage: tpch TABLE SCALE")?;
    let scale: f64 = scale.parse().with_context(|| format!("'{scale}' is not a scale factor"))?;
    match table.as_str() {
        "region" => write(RegionGenerator::new(scale, 1, 1).iter()),
        "nation" => write(NationGenerator::new(scale, 1, 1).iter()),
        "part" => write(PartGenerator::new(scale, 1, 1).iter()),
        "supplier" => write(SupplierGenerator::new(scale, 1, 1).iter()),
        "partsupp" => write(PartSuppGenerator::new(scale, 1, 1).iter()),
        "customer" => write(CustomerGenerator::new(scale, 1, 1).iter()),
        "orders" => write(OrderGenerator::new(scale, 1, 1).iter()),
        "lineitem" => write(LineItemGenerator::new(scale, 1, 1).iter()),
        other => bail!("there is no table '{other}' in TPC-H"),
    }
}

/// TPC-H's own format ends each line with a delimiter, which COPY would take for one more column.
fn write(rows: impl Iterator<Item = impl Display>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let mut line = String::new();
    for row in rows {
        line.clear();
        write!(line, "{row}")?;
        out.write_all(line.trim_end_matches('|').as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
