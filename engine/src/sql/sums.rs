//! sum and avg with Postgres' types: sums of integers are wider than the integers, numerics are exact, nothing wraps.

use std::collections::{HashSet, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
    udaf_default_display_name, udaf_default_schema_name, udaf_default_window_function_display_name,
    udaf_default_window_function_schema_name,
};

use super::arithmetic::quotient_scale;
use super::frames::Frame;
use super::groups::{Columns, Rule, Totals};
use super::totals::Span;
use super::types::{MAX_DIGITS, Type, refused};

/// The aggregates of this file.
pub(crate) fn all() -> Vec<Arc<AggregateUDF>> {
    [false, true].into_iter().map(|is_average| Arc::new(AggregateUDF::from(Sum::new(is_average)))).collect()
}

/// sum, or avg as the quotient of sum and count.
///
/// The name is not "sum": rules of the optimizer that know a function by that name sum its sums again, which changes the
/// type of integers' sums.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    is_average: bool,
    name: &'static str,
    signature: Signature,
    aliases: Vec<String>,
}

impl Sum {
    fn new(is_average: bool) -> Self {
        let alias = if is_average { "avg" } else { "sum" };
        Self {
            is_average,
            name: if is_average { "quotient_of_sum" } else { "checked_sum" },
            signature: Signature::user_defined(Volatility::Immutable),
            aliases: vec![alias.to_owned()],
        }
    }

    /// The same under the name that a statement uses, for names of columns.
    fn shown(&self) -> Self {
        Self { name: if self.is_average { "avg" } else { "sum" }, ..Self::new(self.is_average) }
    }

    /// How the values of a column are added up.
    fn totals(&self, input: &DataType, result: &DataType) -> Result<Box<dyn Columns>> {
        let folded = |scale| Rule { is_average: self.is_average, result: result.clone(), scale };
        Ok(match Type::of(input) {
            Type::Int2 | Type::Int4 | Type::Int8 => Box::new(Totals::<i128>::new(folded(0))),
            Type::Numeric(_, scale) => Box::new(Totals::<i128>::new(folded(scale))),
            Type::Float4 if !self.is_average => Box::new(Totals::<f32>::new(folded(0))),
            Type::Float4 | Type::Float8 => Box::new(Totals::<f64>::new(folded(0))),
            Type::Interval => Box::new(Totals::<Span>::new(folded(0))),
            other => return Err(refused(format!("there is no {} of {other}", self.aliases[0]))),
        })
    }

    fn state_type(&self, input: &DataType) -> DataType {
        match Type::of(input) {
            Type::Float4 if !self.is_average => DataType::Float32,
            Type::Float4 | Type::Float8 => DataType::Float64,
            Type::Interval => Type::Interval.arrow(),
            Type::Numeric(_, scale) => Type::Numeric(MAX_DIGITS, scale).arrow(),
            _ => Type::Numeric(MAX_DIGITS, 0).arrow(),
        }
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        udaf_default_schema_name(&self.shown(), params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        udaf_default_display_name(&self.shown(), params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        udaf_default_window_function_schema_name(&self.shown(), params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        udaf_default_window_function_display_name(&self.shown(), params)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [only] = types else { return Err(refused(format!("{} takes one value", self.aliases[0]))) };
        match Type::of(only) {
            kind if kind.is_number() || kind == Type::Interval => Ok(vec![kind.arrow()]),
            Type::Unknown => Ok(vec![DataType::Float64]),
            kind => Err(refused(format!("there is no {} of {kind}", self.aliases[0]))),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [only] = types else { return Err(refused(format!("{} takes one value", self.aliases[0]))) };
        let kind = match (Type::of(only), self.is_average) {
            (Type::Int2 | Type::Int4, false) => Type::Int8,
            (Type::Int8, false) => Type::Numeric(MAX_DIGITS, 0),
            (Type::Numeric(_, scale), false) => Type::Numeric(MAX_DIGITS, scale),
            (Type::Float4, true) | (Type::Unknown, _) => Type::Float8,
            (kind, false) => kind,
            (kind, true) => match kind.digits() {
                Some((_, scale)) => Type::Numeric(MAX_DIGITS, quotient_scale(scale)),
                None => kind,
            },
        };
        Ok(kind.arrow())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let input = args.expr_fields[0].data_type();
        let totals = self.totals(input, args.return_field.data_type())?;
        if args.is_distinct {
            return Ok(Box::new(Distinct { values: HashSet::new(), input: input.clone(), totals }));
        }
        Ok(Box::new(One { totals }))
    }

    /// Frames of floats that slide are added up anew: a float that was taken away again leaves its rounding behind.
    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let input = args.expr_fields[0].data_type();
        let totals = self.totals(input, args.return_field.data_type())?;
        if !args.is_distinct && !Type::of(input).is_float() {
            return Ok(Box::new(One { totals }));
        }
        Ok(Box::new(Frame { rows: VecDeque::new(), input: input.clone(), is_distinct: args.is_distinct, totals }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let input = args.input_fields[0].data_type();
        let field = |what: &str, kind: DataType| Arc::new(Field::new(format_state_name(args.name, what), kind, true));
        if args.is_distinct {
            let item = Arc::new(Field::new_list_field(input.clone(), true));
            return Ok(vec![field("values", DataType::List(item))]);
        }
        Ok(vec![field("total", self.state_type(input)), field("count", DataType::Int64)])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { totals: self.totals(args.expr_fields[0].data_type(), args.return_field.data_type())? }))
    }
}

/// All rows are one group.
#[derive(Debug)]
struct One {
    totals: Box<dyn Columns>,
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.totals.add(&values[0], &vec![0; values[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[1].as_primitive::<Int64Type>();
        self.totals.merge(&states[0], counts, &vec![0; counts.len()], 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.totals.add(&arrow::array::new_empty_array(&DataType::Null), &[], None, 1)?;
        let states = self.totals.states(EmitTo::All)?;
        states.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.totals.current()
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.totals.take(&values[0])
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.totals.size()
    }
}

/// Each value counts once.
#[derive(Debug)]
struct Distinct {
    values: HashSet<ScalarValue>,
    input: DataType,
    totals: Box<dyn Columns>,
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in (0..values[0].len()).filter(|row| values[0].is_valid(*row)) {
            self.values.insert(ScalarValue::try_from_array(&values[0], row)?.compacted());
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        (0..lists.len()).filter(|row| lists.is_valid(*row)).try_for_each(|row| self.update_batch(&[lists.value(row)]))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self.values.iter().cloned().collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&values, &self.input))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.totals.clear();
        let values: Vec<ScalarValue> = self.values.iter().cloned().collect();
        let array = match values.is_empty() {
            true => arrow::array::new_empty_array(&self.input),
            false => ScalarValue::iter_to_array(values)?,
        };
        self.totals.add(&array, &vec![0; array.len()], None, 1)?;
        self.totals.current()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.len() * size_of::<ScalarValue>() + self.totals.size()
    }
}

#[derive(Debug)]
struct Groups {
    totals: Box<dyn Columns>,
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.totals.add(&values[0], groups, filter, count)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.totals.results(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.totals.states(emit)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.totals.merge(&states[0], states[1].as_primitive::<Int64Type>(), groups, count)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.totals.rows(&values[0], filter)
    }

    fn size(&self) -> usize {
        self.totals.size()
    }
}
