-- An ordinary web shop for kitchen and garden goods, everything in the schema public.
CREATE TABLE public.customers (
  id integer PRIMARY KEY,
  email text NOT NULL,
  first_name text,
  last_name text NOT NULL,
  country text,
  newsletter boolean NOT NULL,
  created_at timestamptz NOT NULL
);
COMMENT ON COLUMN public.customers.country IS 'Country code that the customer chose at sign-up';
COMMENT ON COLUMN public.customers.created_at IS 'When the customer signed up';

CREATE TABLE public.addresses (
  id integer PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES public.customers,
  street text NOT NULL,
  postcode text NOT NULL,
  city text NOT NULL
);

CREATE TABLE public.brands (
  id integer PRIMARY KEY,
  name text NOT NULL,
  homepage text
);

CREATE TABLE public.categories (
  id integer PRIMARY KEY,
  name text NOT NULL,
  parent_id integer REFERENCES public.categories
);
COMMENT ON COLUMN public.categories.parent_id IS 'Empty for a top category';

CREATE TABLE public.products (
  id integer PRIMARY KEY,
  sku text NOT NULL UNIQUE,
  name text NOT NULL,
  category_id integer NOT NULL REFERENCES public.categories,
  brand_id integer REFERENCES public.brands,
  price numeric(10,2) NOT NULL,
  weight_grams integer,
  active boolean NOT NULL
);
COMMENT ON COLUMN public.products.brand_id IS 'Empty: no brand';
COMMENT ON COLUMN public.products.price IS 'Today''s list price in EUR; what a customer paid is order_items.unit_price';

CREATE TABLE public.coupons (
  id integer PRIMARY KEY,
  code text NOT NULL UNIQUE,
  percent integer NOT NULL,
  valid_to date
);

CREATE TABLE public.orders (
  id bigint PRIMARY KEY,
  order_no text NOT NULL,
  customer_id integer NOT NULL REFERENCES public.customers,
  billing_address_id integer NOT NULL REFERENCES public.addresses,
  shipping_address_id integer NOT NULL REFERENCES public.addresses,
  coupon_id integer REFERENCES public.coupons,
  ordered_at timestamptz NOT NULL,
  status text NOT NULL CHECK (status IN ('new', 'paid', 'shipped', 'cancelled', 'returned')),
  total numeric(12,2) NOT NULL
);
COMMENT ON COLUMN public.orders.total IS 'In EUR, with tax and shipping';
COMMENT ON COLUMN public.orders.status IS 'new, paid, shipped, cancelled or returned';

CREATE TABLE public.order_items (
  order_id bigint NOT NULL REFERENCES public.orders,
  line_no integer NOT NULL,
  product_id integer NOT NULL REFERENCES public.products,
  quantity integer NOT NULL,
  unit_price numeric(10,2) NOT NULL,
  PRIMARY KEY (order_id, line_no)
);
COMMENT ON TABLE public.order_items IS 'The lines of an order, one product each';

CREATE TABLE public.payments (
  id bigint PRIMARY KEY,
  order_id bigint NOT NULL REFERENCES public.orders,
  method text NOT NULL,
  state text NOT NULL CHECK (state IN ('captured', 'failed', 'refunded')),
  amount numeric(12,2) NOT NULL,
  received_at timestamptz NOT NULL
);
COMMENT ON COLUMN public.payments.method IS 'card, wallet or invoice';

CREATE TABLE public.carriers (
  id integer PRIMARY KEY,
  name text NOT NULL
);

CREATE TABLE public.shipments (
  id bigint PRIMARY KEY,
  order_id bigint NOT NULL REFERENCES public.orders,
  carrier_id integer NOT NULL REFERENCES public.carriers,
  shipped_at timestamptz NOT NULL,
  delivered_at timestamptz,
  weight_kg numeric(8,3)
);
COMMENT ON COLUMN public.shipments.delivered_at IS 'Empty while the parcel is under way';

CREATE TABLE public.reviews (
  id bigint PRIMARY KEY,
  product_id integer NOT NULL REFERENCES public.products,
  customer_id integer NOT NULL REFERENCES public.customers,
  rating integer,
  body text,
  created_at timestamptz NOT NULL
);
COMMENT ON COLUMN public.reviews.rating IS '1 to 5 stars; empty: text alone';

CREATE TABLE public.warehouses (
  id integer PRIMARY KEY,
  name text NOT NULL UNIQUE
);

CREATE TABLE public.stock_levels (
  warehouse_id integer NOT NULL REFERENCES public.warehouses,
  product_id integer NOT NULL REFERENCES public.products,
  pieces integer NOT NULL,
  counted_on date,
  PRIMARY KEY (warehouse_id, product_id)
);
