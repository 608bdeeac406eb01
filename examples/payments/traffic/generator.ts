/**
 * Made-up card payments with the habits of real ones: customers near some terminals and far from others, a daily rhythm,
 * and the three patterns of fraud of the Fraud Detection Handbook's simulation (Le Borgne, Siblini, Lebichot, Bontempi;
 * chapter "Transaction data simulator"): amounts above 220; terminals compromised for 28 days; cards compromised for 14
 * days, a third of whose amounts is multiplied by 5. One seed gives one sequence.
 */
export interface GeneratedPayment {
  readonly id: number;
  readonly atMs: number;
  readonly card: string;
  readonly terminal: string;
  readonly amount: number;
  readonly fraud: boolean;
  /** 0: genuine; 1, 2, 3: the patterns above. */
  readonly pattern: 0 | 1 | 2 | 3;
}

export interface TrafficOptions {
  readonly seed: number;
  readonly customers?: number;
  readonly terminals?: number;
  /** Event time of the first day. */
  readonly startMs?: number;
  /** From this day on (the first is 0) everything costs so many times as much: frauds and genuine payments alike. */
  readonly inflation?: { readonly fromDay: number; readonly factor: number };
}

interface Customer {
  readonly card: string;
  readonly meanAmount: number;
  readonly paymentsPerDay: number;
  readonly terminals: readonly number[];
}

const DAY_MS = 86_400_000;
const NO_INFLATION = { fromDay: 0, factor: 1 };

export function* generatePayments(options: TrafficOptions): Generator<GeneratedPayment, never> {
  const random = generator(options.seed);
  const terminals = options.terminals ?? 2_000;
  const customers = makeCustomers(random, options.customers ?? 1_000, terminals);
  const startMs = options.startMs ?? Date.UTC(2026, 0, 1);
  const compromisedTerminals = new Map<number, number>();
  const compromisedCards = new Map<number, number>();
  let id = 0;

  for (let day = 0; ; day++) {
    compromise(random, compromisedTerminals, terminals, Math.max(1, Math.round(terminals / 5_000)), day + 28);
    compromise(
      random,
      compromisedCards,
      customers.length,
      Math.max(1, Math.round(customers.length / 1_700)),
      day + 14,
    );
    for (const planned of planDay(random, customers)) {
      const customer = customers[planned.customer]!;
      const terminal = customer.terminals[Math.floor(random() * customer.terminals.length)]!;
      const amount = cents(Math.abs(customer.meanAmount + gaussian(random) * customer.meanAmount * 0.5));
      const pattern = patternOf(random, {
        amount,
        terminal: (compromisedTerminals.get(terminal) ?? -1) > day,
        card: (compromisedCards.get(planned.customer) ?? -1) > day,
      });
      const paid = pattern === 3 ? cents(amount * 5) : amount;
      const { fromDay, factor } = options.inflation ?? NO_INFLATION;
      yield {
        id: id++,
        atMs: startMs + day * DAY_MS + planned.secondOfDay * 1000,
        card: customer.card,
        terminal: `t${terminal}`,
        amount: day >= fromDay ? cents(paid * factor) : paid,
        fraud: pattern > 0,
        pattern,
      };
    }
  }
}

function patternOf(
  random: () => number,
  payment: { amount: number; terminal: boolean; card: boolean },
): 0 | 1 | 2 | 3 {
  if (payment.amount > 220) return 1;
  if (payment.terminal) return 2;
  return payment.card && random() < 1 / 3 ? 3 : 0;
}

function makeCustomers(random: () => number, count: number, terminals: number): Customer[] {
  return Array.from({ length: count }, (_, index) => ({
    card: `c${index}`,
    meanAmount: 5 + random() * 95,
    paymentsPerDay: random() * 4,
    terminals: Array.from({ length: 40 }, () => Math.floor(random() * terminals)),
  }));
}

/** More around noon than at night, as people pay: seconds of the day, in order. */
function planDay(
  random: () => number,
  customers: readonly Customer[],
): { customer: number; secondOfDay: number }[] {
  const plan: { customer: number; secondOfDay: number }[] = [];
  customers.forEach((customer, index) => {
    for (let rest = poisson(random, customer.paymentsPerDay); rest > 0; rest--) {
      const second = Math.round(43_200 + gaussian(random) * 20_000);
      if (second >= 0 && second < 86_400) plan.push({ customer: index, secondOfDay: second });
    }
  });
  return plan.sort((a, b) => a.secondOfDay - b.secondOfDay);
}

function compromise(
  random: () => number,
  until: Map<number, number>,
  bound: number,
  count: number,
  day: number,
): void {
  for (let rest = count; rest > 0; rest--) until.set(Math.floor(random() * bound), day);
}

function cents(amount: number): number {
  return Math.round(amount * 100) / 100;
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function poisson(random: () => number, mean: number): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > limit; product *= random()) count++;
  return count;
}

/** mulberry32 (Tommy Ettinger, public domain): small, and the same on every machine. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
