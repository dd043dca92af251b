//! Literals without a type. PostgreSQL reads such a literal by the input function of the type that it is resolved to; the
//! engine takes it for text and converts it as it likes, in Greenwich's zone and in few spellings.
//!
//! Where a statement puts a literal beside other values, `rewrite` makes it a call of `pg_unknown`, which is of no type, so
//! that the engine plans the rest as if it were NULL. [`Literals`] then finds the type of what stands beside it. Casts of
//! literals that the engine puts into a plan by itself become those of PostgreSQL too.

use std::cell::OnceCell;
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Alias, Cast, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{
    ColumnarValue, Distinct, DmlStatement, Expr, ExprSchemable, Join, LogicalPlan, Projection, ScalarFunctionArgs,
    ScalarUDFImpl, Signature, Subquery, SubqueryAlias, Union, Values, Volatility, WriteOp,
};
use datafusion::optimizer::AnalyzerRule;

use super::cast::{NAME as CAST, Target, check_literal};
use super::conditions;
use super::encode::{of_data_type, oid};
use super::operators::{as_type, length};
use super::{pg_type_of, session_zone};

/// The name of the function that a literal of no type is the argument of.
pub(super) const NAME: &str = "pg_unknown";

/// `pg_unknown('text')`: never run.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Unknown(Signature);

impl Unknown {
    pub(super) fn new() -> Self {
        Self(Signature::any(1, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Unknown {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Null)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        datafusion::common::internal_err!("a literal without a type has one when the plan is analyzed")
    }
}

/// When [`Literals`] looks at a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the engine makes types agree: afterwards it cannot be told what was written.
    Before,
    /// After it, for the casts that it made.
    After,
}

/// Gives literals their types.
#[derive(Debug)]
pub struct Literals(When);

/// The rules that analyze a plan: the engine's, with ours around them.
#[must_use]
pub fn analyzer_rules(engine: Vec<Arc<dyn AnalyzerRule + Send + Sync>>) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(Literals(When::Before))];
    rules.extend(engine);
    rules.push(Arc::new(Literals(When::After)));
    rules
}

impl AnalyzerRule for Literals {
    fn name(&self) -> &'static str {
        if self.0 == When::Before { "untyped_literals" } else { "casts_of_literals" }
    }

    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        if self.0 == When::After {
            let plan = changed(plan, &|expr, _| Ok(cast_of_literal(expr)), &Ok)?;
            check(&plan, session_zone(options))?;
            return Ok(plan);
        }
        let plan = changed(plan, &beside, &of_node)?;
        let mut left = false;
        plan.apply_with_subqueries(|node| {
            left |= matches!(node, LogicalPlan::Projection(of) if of.expr.iter().any(|item| written(item).is_some()));
            Ok(if left { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !left {
            return Ok(plan);
        }
        // What nothing else gave a type is text.
        changed(plan, &|expr, _| Ok(as_text(expr)), &Ok)
    }
}

/// Refuse literals that are none of their type.
fn check(plan: &LogicalPlan, zone: Tz) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr
                    && call.name() == CAST
                {
                    check_literal(&call.args, zone)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// What the inputs of a node have, put together when it is asked for.
struct Inputs {
    schemas: Vec<DFSchemaRef>,
    all: OnceCell<DFSchema>,
}

impl Inputs {
    fn of(node: &LogicalPlan) -> Self {
        Self { schemas: node.inputs().iter().map(|input| Arc::clone(input.schema())).collect(), all: OnceCell::new() }
    }

    fn schema(&self) -> &DFSchema {
        self.all.get_or_init(|| {
            let mut all = DFSchema::empty();
            self.schemas.iter().for_each(|schema| all.merge(schema));
            all
        })
    }

    /// The type of an expression; none if it cannot be told yet, or is that of NULL.
    fn kind(&self, expr: &Expr) -> Option<Kind> {
        let (_, field) = expr.to_field(self.schema()).ok()?;
        let data_type = field.data_type().clone();
        (data_type != DataType::Null).then(|| (data_type, pg_type_of(&field)))
    }
}

/// A plan whose expressions, which keep their names, and then nodes are changed from below.
fn changed(
    plan: LogicalPlan,
    change: &dyn Fn(Expr, &Inputs) -> Result<Transformed<Expr>>,
    change_node: &dyn Fn(Transformed<LogicalPlan>) -> Result<Transformed<LogicalPlan>>,
) -> Result<LogicalPlan> {
    let mut touched = false;
    let plan = plan.transform_up_with_subqueries(|node| {
        let (inputs, names) = (Inputs::of(&node), NamePreserver::new(&node));
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| change(expr, &inputs))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })?;
        let node = change_node(node)?;
        touched |= node.transformed;
        if touched { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    Ok(plan.data)
}

/// The literal that a call of `pg_unknown` has, with the name that was given to it.
fn written(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Alias(alias) => written(&alias.expr),
        Expr::ScalarFunction(call) if call.name() == NAME => call.args.first(),
        _ => None,
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Float64(Some(_)), _))
}

fn as_text(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(mut call) if call.name() == NAME && call.args.len() == 1 => {
            Transformed::yes(call.args.remove(0))
        }
        other => Transformed::no(other),
    }
}

/// An Arrow type with the OID that its field says.
type Kind = (DataType, Option<u32>);

/// How a cast spells a type whose literals the engine would not read as PostgreSQL does; none for text.
pub(super) fn spelled(data_type: &DataType) -> Option<String> {
    let kind = of_data_type(data_type).oid;
    (!matches!(kind, oid::TEXT | oid::JSONB)).then(|| Target::spelling(kind)).flatten()
}

/// The type that values side by side get, if it is not text: a time with a zone before one without, before a date.
fn common(kinds: &[Kind]) -> Option<String> {
    let said = kinds.iter().find_map(|(_, said)| *said);
    if let Some(kind @ (oid::UUID | oid::JSON | oid::JSONB)) = said {
        return Target::spelling(kind);
    }
    let (first, rest) = kinds.split_first()?;
    if rest.iter().all(|(other, _)| *other == first.0) {
        return spelled(&first.0);
    }
    if kinds.iter().all(|(of, _)| zoned(of) || local(of)) {
        let any = |is: fn(&DataType) -> bool| kinds.iter().any(|(of, _)| is(of));
        let name = if any(zoned) { "timestamptz" } else { "timestamp" };
        return Some(name.to_owned());
    }
    let types: Vec<DataType> = kinds.iter().map(|(of, _)| of.clone()).collect();
    if let Some(float) = inexact(&types) {
        return Some(float.to_owned());
    }
    spelled(&type_union_resolution(&types)?)
}

/// The type of floats that numbers become, some of which are numeric and some not: the engine would make all numeric.
fn inexact(types: &[DataType]) -> Option<&'static str> {
    let floats = types.iter().any(DataType::is_floating) && types.iter().any(DataType::is_decimal);
    (floats && types.iter().all(DataType::is_numeric))
        .then(|| if types.contains(&DataType::Float64) { "float8" } else { "float4" })
}

fn is_float(target: &str) -> bool {
    matches!(target, "float4" | "float8")
}

fn zoned(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(_)))
}

fn local(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, None) | DataType::Date32)
}

/// Whether a cast to a type changes what a value of another means, so that it has to be PostgreSQL's.
fn shifts(from: &DataType, target: &str) -> bool {
    (local(from) && target == "timestamptz") || (from.is_decimal() && is_float(target))
}

/// Give values that become one type that type, where the engine would not; gives back whether anything was to be done,
/// and the type.
fn settle(items: &mut [&mut Expr], inputs: &Inputs) -> (bool, Option<String>) {
    let kinds: Vec<Option<Kind>> = items
        .iter()
        .map(|item| if written(item).is_some() || is_literal(item) { None } else { inputs.kind(item) })
        .collect();
    // Beside what is numeric a number with a point is too, although `rewrite` left it to the engine.
    let exact = kinds.iter().flatten().any(|(of, _)| of.is_decimal());
    let known = items.iter().zip(&kinds).filter(|(item, _)| !(exact && is_number(item)));
    let known: Vec<Kind> = known.filter_map(|(_, kind)| kind.clone()).collect();
    let target = common(&known);
    let mut changed = false;
    for (item, kind) in items.iter_mut().zip(&kinds) {
        let better = match (&target, kind, written(item)) {
            (Some(target), None, Some(literal)) => as_type(literal.clone(), target),
            (None, None, Some(literal)) => literal.clone(),
            (Some(target), None, None) if is_literal(item) => as_type(std::mem::take(*item), target),
            (Some(target), Some((from, _)), _) if shifts(from, target) => as_type(std::mem::take(*item), target),
            _ => continue,
        };
        **item = better;
        changed = true;
    }
    (changed, target)
}

/// The same of values that are compared with each other: intervals by their length.
fn compare(items: &mut [&mut Expr], inputs: &Inputs) -> bool {
    let (changed, target) = settle(items, inputs);
    let intervals = target.as_deref() == Some("interval");
    if intervals {
        items.iter_mut().for_each(|item| **item = length(std::mem::take(*item)));
    }
    changed || intervals
}

/// Functions whose arguments become one type.
const ALIKE: &[&str] = &["coalesce", "greatest", "least", "nullif", "make_array"];

/// Functions that compare a value with those of a list.
const QUANTIFIED: &[&str] = &["pg_any", "pg_all", "pg_any_row", "pg_all_row"];

fn read(item: &mut Expr, name: &str) {
    *item = as_type(std::mem::take(item), name);
}

/// Literals beside other values.
fn beside(mut expr: Expr, inputs: &Inputs) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::Case(case) => {
            let (mut whens, mut results) = (Vec::new(), Vec::new());
            for (when, then) in &mut case.when_then_expr {
                whens.push(&mut **when);
                results.push(&mut **then);
            }
            results.extend(case.else_expr.as_deref_mut());
            let conditions = case.expr.as_deref_mut().is_some_and(|operand| {
                whens.push(operand);
                compare(&mut whens, inputs)
            });
            settle(&mut results, inputs).0 || conditions
        }
        Expr::ScalarFunction(call) if ALIKE.contains(&call.name()) => {
            settle(&mut call.args.iter_mut().collect::<Vec<_>>(), inputs).0
        }
        // `any` and `all` of a list, which may be that of a subquery's rows.
        Expr::ScalarFunction(call) if QUANTIFIED.contains(&call.name()) => match call.args.as_mut_slice() {
            [_, item, list] if is_literal(item) => match inputs.kind(list).map(|(of, _)| of) {
                Some(DataType::List(of)) => spelled(of.data_type()).inspect(|name| read(item, name)).is_some(),
                _ => false,
            },
            _ => false,
        },
        Expr::InList(list) => {
            let mut items: Vec<&mut Expr> = list.list.iter_mut().collect();
            items.push(&mut list.expr);
            compare(&mut items, inputs)
        }
        Expr::Between(between) => compare(&mut [&mut between.expr, &mut between.low, &mut between.high], inputs),
        Expr::InSubquery(InSubquery { expr: item, subquery, .. }) => among_rows(item, subquery, inputs)?,
        Expr::ScalarFunction(call) if call.name() == conditions::NAME => {
            let kind = call.args.first().and_then(|condition| inputs.kind(condition));
            return conditions::checked(call, kind).map(Transformed::yes);
        }
        Expr::Cast(_) => return Ok(cast_of_literal(expr)),
        _ => false,
    };
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}

/// A value that is looked for among the rows of a subquery; gives back whether anything was to be done.
fn among_rows(item: &mut Expr, subquery: &mut Subquery, inputs: &Inputs) -> Result<bool> {
    let Some(of) = subquery.subquery.schema().fields().first().map(|field| field.data_type().clone()) else {
        return Ok(false);
    };
    if is_literal(item) {
        return Ok(spelled(&of).inspect(|name| read(item, name)).is_some());
    }
    let Some((kind, _)) = inputs.kind(item) else { return Ok(false) };
    let exact = kind.is_decimal();
    let Some(float) = inexact(&[kind, of]) else { return Ok(false) };
    if exact {
        read(item, float);
    } else if let Some(better) = with_column(&subquery.subquery, 0, float)? {
        subquery.subquery = Arc::new(better);
    }
    Ok(true)
}

/// A cast of a literal that the engine put there, as PostgreSQL would read it.
fn cast_of_literal(expr: Expr) -> Transformed<Expr> {
    let Expr::Cast(cast) = &expr else { return Transformed::no(expr) };
    let unknown = written(&cast.expr);
    let Some(literal) = unknown.or_else(|| Some(&*cast.expr).filter(|inner| is_literal(inner))) else {
        return Transformed::no(expr);
    };
    let to = cast.field.data_type();
    match converted(literal.clone(), to, &DFSchema::empty()) {
        Some(read) => Transformed::yes(read),
        None if unknown.is_none() => Transformed::no(expr),
        None => Transformed::yes(Expr::Cast(Cast::new(Box::new(literal.clone()), to.clone()))),
    }
}

/// A value of any type as one of an Arrow type, converted as PostgreSQL does; none where the engine does it no worse.
fn converted(expr: Expr, to: &DataType, schema: &DFSchema) -> Option<Expr> {
    let made = as_type(expr, &spelled(to)?);
    match made.get_type(schema) {
        Ok(is) if is == *to => Some(made),
        Ok(is) if can_cast_types(&is, to) => Some(Expr::Cast(Cast::new(Box::new(made), to.clone()))),
        _ => None,
    }
}

/// What the literals in the inputs of a node become because of the node.
fn of_node(node: Transformed<LogicalPlan>) -> Result<Transformed<LogicalPlan>> {
    let before = node.transformed;
    let changed = match node.data {
        LogicalPlan::Union(union) => of_union(union)?,
        LogicalPlan::Join(join) => of_join(join)?,
        LogicalPlan::Values(values) => of_values(values)?,
        LogicalPlan::Dml(dml) if matches!(dml.op, WriteOp::Insert(_)) => of_insert(dml)?,
        other => Transformed::no(other),
    };
    Ok(Transformed::new(changed.data, before || changed.transformed, node.tnr))
}

/// A plan with the literal that a column of it is read as a type; none if it is no literal.
fn with_literal(plan: &LogicalPlan, at: usize, target: &str) -> Result<Option<LogicalPlan>> {
    let rebuilt = |input: &Arc<LogicalPlan>| with_literal(input, at, target).map(|found| found.map(Arc::new));
    Ok(match plan {
        LogicalPlan::Projection(projection) => {
            let Some(literal) = projection.expr.get(at).and_then(written) else { return Ok(None) };
            let name = plan.schema().field(at).name();
            let mut items = projection.expr.clone();
            if let Some(item) = items.get_mut(at) {
                *item = as_type(literal.clone(), target).alias(name);
            }
            Some(LogicalPlan::Projection(Projection::try_new(items, Arc::clone(&projection.input))?))
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            rebuilt(input)?.map(|input| LogicalPlan::Distinct(Distinct::All(input)))
        }
        LogicalPlan::SubqueryAlias(alias) => match rebuilt(&alias.input)? {
            Some(input) => Some(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(input, alias.alias.clone())?)),
            None => None,
        },
        _ => None,
    })
}

/// A plan with a column as another type, or none if there is nothing to do.
fn with_column(plan: &LogicalPlan, at: usize, target: &str) -> Result<Option<LogicalPlan>> {
    let of = plan.schema().field(at).data_type();
    if of == &DataType::Null {
        return with_literal(plan, at, target);
    }
    // What is an integer here may be numeric once the engine has made the types below agree.
    if !(shifts(of, target) || of.is_integer() && is_float(target)) {
        return Ok(None);
    }
    let items = plan.schema().columns().into_iter().enumerate().map(|(place, column)| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        if place == at {
            as_type(Expr::Column(column), target).alias_qualified(relation, name)
        } else {
            Expr::Column(column)
        }
    });
    Ok(Some(LogicalPlan::Projection(Projection::try_new(items.collect(), Arc::new(plan.clone()))?)))
}

fn kinds_at<'a>(plans: impl Iterator<Item = &'a Arc<LogicalPlan>>, at: usize) -> Vec<Kind> {
    let fields = plans.filter_map(|plan| plan.schema().fields().get(at).cloned());
    fields
        .filter(|field| field.data_type() != &DataType::Null)
        .map(|field| (field.data_type().clone(), pg_type_of(&field)))
        .collect()
}

fn of_union(mut union: Union) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for at in 0..union.schema.fields().len() {
        let Some(target) = common(&kinds_at(union.inputs.iter(), at)) else { continue };
        for input in &mut union.inputs {
            if let Some(better) = with_column(input, at, &target)? {
                *input = Arc::new(better);
                changed = true;
            }
        }
    }
    if changed {
        union = Union::try_new_with_loose_types(union.inputs)?;
    }
    Ok(Transformed::new_transformed(LogicalPlan::Union(union), changed))
}

/// INTERSECT and EXCEPT are joins of all columns.
fn of_join(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &join.on {
        let (Expr::Column(left), Expr::Column(right)) = (left, right) else { continue };
        let places = (join.left.schema().maybe_index_of_column(left), join.right.schema().maybe_index_of_column(right));
        let (Some(left), Some(right)) = places else { continue };
        if let Some(better) = like_other(&join.left, left, &join.right, right)? {
            join.left = better;
            changed = true;
        } else if let Some(better) = like_other(&join.right, right, &join.left, left)? {
            join.right = better;
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
}

/// A plan with the literal that a column of it is read as the type of a column of another plan.
fn like_other(
    plan: &Arc<LogicalPlan>,
    at: usize,
    other: &Arc<LogicalPlan>,
    place: usize,
) -> Result<Option<Arc<LogicalPlan>>> {
    if plan.schema().field(at).data_type() != &DataType::Null {
        return Ok(None);
    }
    let Some(target) = common(&kinds_at(std::iter::once(other), place)) else { return Ok(None) };
    Ok(with_literal(plan, at, &target)?.map(Arc::new))
}

/// Literals of VALUES that nothing beside them gives a type are text.
fn of_values(values: Values) -> Result<Transformed<LogicalPlan>> {
    let of_null = |at: usize| values.schema.field(at).data_type() == &DataType::Null;
    let has_literal =
        |at: usize| values.values.iter().any(|row| row.get(at).is_some_and(|item| written(item).is_some()));
    let texts: Vec<bool> = (0..values.schema.fields().len()).map(|at| of_null(at) && has_literal(at)).collect();
    if !texts.contains(&true) {
        return Ok(Transformed::no(LogicalPlan::Values(values)));
    }
    let fields = values.schema.iter().zip(&texts).map(|((relation, field), text)| {
        let field =
            if *text { Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)) } else { Arc::clone(field) };
        (relation.cloned(), field)
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), values.schema.metadata().clone())?;
    let rows = values.values.into_iter().map(|row| {
        let items = row.into_iter().zip(&texts).map(|(item, text)| match item {
            Expr::Literal(ScalarValue::Null, _) if *text => Expr::Literal(ScalarValue::Utf8(None), None),
            other => as_text(other).data,
        });
        items.collect()
    });
    Ok(Transformed::yes(LogicalPlan::Values(Values { schema: Arc::new(schema), values: rows.collect() })))
}

/// The rows of INSERT are converted to the columns of the table.
fn of_insert(mut dml: DmlStatement) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else {
        return Ok(Transformed::no(LogicalPlan::Dml(dml)));
    };
    let mut input = Arc::clone(&projection.input);
    if let LogicalPlan::Values(values) = input.as_ref() {
        let mut values = values.clone();
        values.values.iter_mut().flatten().for_each(|item| *item = assigned(std::mem::take(item), &DFSchema::empty()));
        input = Arc::new(LogicalPlan::Values(values));
    }
    let mut items = Vec::with_capacity(projection.expr.len());
    for item in &projection.expr {
        if let Expr::Alias(Alias { expr, .. }) = item
            && let Expr::Cast(cast) = expr.as_ref()
            && let Expr::Column(column) = cast.expr.as_ref()
            && let Some(at) = input.schema().maybe_index_of_column(column)
            && input.schema().field(at).data_type() == &DataType::Null
            && let Some(target) = spelled(cast.field.data_type())
            && let Some(read) = with_literal(&input, at, &target)?
        {
            input = Arc::new(read);
        }
        items.push(item.clone());
    }
    let items = items.into_iter().map(|item| match item {
        Expr::Alias(alias) => assigned(*alias.expr, input.schema()).alias_qualified(alias.relation, alias.name),
        other => assigned(other, input.schema()),
    });
    dml.input = Arc::new(LogicalPlan::Projection(Projection::try_new(items.collect(), Arc::clone(&input))?));
    Ok(Transformed::yes(LogicalPlan::Dml(dml)))
}

/// A value of INSERT that is cast to the type of its column.
fn assigned(expr: Expr, schema: &DFSchema) -> Expr {
    let Expr::Cast(cast) = expr else { return expr };
    let to = cast.field.data_type();
    let same = cast.expr.get_type(schema).is_ok_and(|from| of_data_type(&from).oid == of_data_type(to).oid);
    if same {
        return Expr::Cast(cast);
    }
    converted((*cast.expr).clone(), to, schema).unwrap_or(Expr::Cast(cast))
}
