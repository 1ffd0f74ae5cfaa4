//! Scores of predictive distributions: proper scores, calibration, and standard errors of averages.
//!
//! A forecast for one window is a mixture of `S` Gaussians at every step of the horizon. Sample `s`
//! is `Normal(y_s, sigma_s^2)` with weight `w_s`. All scores are computed in `f64` from the mixture
//! itself: quantiles and intervals invert its distribution function, and the continuous ranked
//! probability score (CRPS) is its exact value, not a Monte-Carlo estimate. A Gaussian is a mixture
//! with `S = 1`, so baselines and models use the same code.
//!
//! | file | concept |
//! |---|---|
//! | [`normal`] | density, distribution function and quantile of the standard normal |
//! | `folded` | the tabulated mean of a folded normal, the inner loop of the exact CRPS |
//! | [`mixture`] | a weighted mixture of Gaussians for one scalar |
//! | [`mod@floor`] | quantities with a lower limit |
//! | [`window`] | the arrays of a prediction: shapes, broadcasting, checks |
//! | [`likelihood`] | the negative log-likelihood with the scores `tempered`, `marginal`, `joint` |
//! | [`crps`] | exact mixture CRPS, Gaussian CRPS, unbiased CRPS of a sample |
//! | [`pinball`] | quantile loss and its normalised form |
//! | [`coverage`] | interval coverage and width, PIT histogram, calibration error |
//! | [`aggregate`] | weighted sums of the steps in closed form, and the parts of their variance |
//! | [`paths`] | equally likely forecasts of a whole window |
//! | [`energy`], [`variogram`] | scores of whole paths |
//! | [`joint`] | the joint log-likelihood of a window over many samples |
//! | [`point`] | point forecasts (mean, median) and their errors |
//! | [`risk`] | risk against coverage when uncertain forecasts are withheld |
//! | [`block`] | averages over overlapping windows with block standard errors |
//! | [`probts`] | the scores of the ProbTS benchmark |
//! | [`steps`] | the scores of one window, step by step |
//! | [`scorer`], [`scores`] | all of these for one window, and accumulated over a test set |
//! | [`mod@reference`] | the same quantities with the published research code's floors and conventions |

pub mod aggregate;
pub mod block;
pub mod coverage;
pub mod crps;
pub mod energy;
mod error;
pub mod floor;
mod folded;
pub mod joint;
pub mod likelihood;
mod median;
pub mod mixture;
pub mod normal;
pub mod paths;
pub mod pinball;
pub mod point;
pub mod probts;
pub mod reference;
pub mod risk;
pub mod scorer;
pub mod scores;
mod solver;
pub mod steps;
pub mod variogram;
pub mod window;

pub use aggregate::{Aggregate, AggregateScore, VarianceParts, WHOLE_LEVELS};
pub use block::{BlockSums, Estimate, overlap_block};
pub use coverage::PitHistogram;
pub use crps::{SortedSample, gaussian_crps, mixture_crps, sample_crps, window_crps};
pub use energy::energy_score;
pub use error::MetricError;
pub use joint::JointNll;
pub use likelihood::{WindowNll, window_nll};
pub use median::{MedianConvention, sample_median};
pub use mixture::Mixture;
pub use paths::Paths;
pub use pinball::{pinball_loss, quantile_levels};
pub use point::PointForecast;
pub use probts::{ProbTsScore, ProbTsWindow};
pub use scorer::{ScoreSettings, Scorer, WindowScores};
pub use scores::{IntervalSummary, Scores, Summary, TauSummary};
pub use steps::{StepScore, step_scores};
pub use variogram::variogram_score;
pub use window::{Predictions, SharedPart, WindowPrediction};
